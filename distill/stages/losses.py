"""Losses: pure functions, means over the photo first, so that a batch may be cut into parts and ranks at will."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

FOCAL_WEIGHT, DICE_WEIGHT, IOU_WEIGHT = 20.0, 1.0, 1.0  # SAM, arXiv 2304.02643, appendix A
BCE_WEIGHT, DISTILLED_DICE_WEIGHT = 5.0, 5.0  # EdgeSAM, arXiv 2312.06660, section 4


def embedding_error(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error of each photo over its weighted cells.

    Args:
        predicted, target: (B, 256, h, w).
        weight: (B, 1, h, w), 1 where the photo is.

    Returns:
        (B,); divided by the teacher's variance, 1.0 is the error of predicting the mean.
    """
    error = (at_least_float32(predicted) - target).square().mean(1, keepdim=True)
    return (error * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1e-6)


def mask_bce(logits: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Binary cross entropy, mean over valid cells: logits (..., h, w), truth and valid alike or broadcast -> (...)."""
    loss = F.binary_cross_entropy_with_logits(logits, truth.expand_as(logits), reduction="none")
    return _mean_over(loss, valid)


def mask_focal(logits: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Focal loss (Lin et al., arXiv 1708.02002; alpha 0.25, gamma 2), mean over valid cells -> (...)."""
    return _mean_over(sigmoid_focal_loss(logits, truth.expand_as(logits), alpha=0.25, gamma=2), valid)


def mask_dice(logits: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """1 - dice coefficient of probabilities and truth over valid cells -> (...). The 1 keeps empty masks finite."""
    probability = logits.sigmoid() * valid
    truth = truth * valid
    overlap = 2 * (probability * truth).sum((-2, -1))
    return 1 - (overlap + 1) / (probability.sum((-2, -1)) + truth.sum((-2, -1)) + 1)


def mask_iou(logits: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """IoU of the mask (logits above 0) and the truth over valid cells -> (...), without gradients."""
    mask = (logits.detach() > 0) & (valid > 0)
    object_ = (truth > 0) & (valid > 0)
    union = (mask | object_).sum((-2, -1))
    return (mask & object_).sum((-2, -1)) / union.clamp(min=1)


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision becomes float32, float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _mean_over(loss: Tensor, valid: Tensor) -> Tensor:
    valid = valid.to(loss.dtype)
    return (loss * valid).sum((-2, -1)) / valid.sum((-2, -1)).clamp(min=1)
