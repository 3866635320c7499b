"""Image embedding + prompts -> low-resolution logits: SAM's prompt encoder and mask decoder, in canvas coordinates."""

from __future__ import annotations

import torch
from segment_anything.modeling import Sam
from torch import Tensor

from .batch_decoder import decode_batch
from .masks import masks_asked_for


def decode(
    model: Sam,
    image_embedding: Tensor,
    point_coords: Tensor | None,
    point_labels: Tensor | None,
    boxes: Tensor | None,
    mask_input: Tensor | None,
    multimask_output: bool,
) -> tuple[Tensor, Tensor]:
    """Decode B prompts against one photo; several, where no gradient is wanted, by ``batch_decoder``.

    Args:
        image_embedding: (1, 256, S/16, S/16).
        point_coords: (B, N, 2) x and y in canvas pixels, with point_labels (B, N).
        boxes: (B, 4) XYXY in canvas pixels.
        mask_input: (B or 1, 1, S/4, S/4) logits of an earlier prediction.
        multimask_output: three masks a prompt (for an ambiguous one) or a single one.

    Returns:
        low_res_logits (B, C, S/4, S/4) and iou_predictions (B, C); C is 3 or 1.
    """
    prompts = _embed(model, point_coords, point_labels, boxes, mask_input)
    chosen = masks_asked_for(multimask_output)
    if len(prompts["sparse_prompt_embeddings"]) > 1 and not torch.is_grad_enabled():
        return decode_batch(model.mask_decoder, image_embedding, **prompts, masks=chosen)
    low_res_logits, iou_predictions = model.mask_decoder.predict_masks(image_embedding, **prompts)
    return low_res_logits[:, chosen], iou_predictions[:, chosen]


def decode_all(
    model: Sam,
    image_embedding: Tensor,
    point_coords: Tensor | None,
    point_labels: Tensor | None,
    boxes: Tensor | None,
    mask_input: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """As ``decode``, both answers in one pass: the single mask at index 0, then the three for an ambiguous prompt.

    Returns:
        low_res_logits (B, 4, S/4, S/4) and iou_predictions (B, 4).
    """
    prompts = _embed(model, point_coords, point_labels, boxes, mask_input)
    return model.mask_decoder.predict_masks(image_embedding, **prompts)


def _embed(
    model: Sam,
    point_coords: Tensor | None,
    point_labels: Tensor | None,
    boxes: Tensor | None,
    mask_input: Tensor | None,
) -> dict[str, Tensor]:
    """Prompts as the mask decoder takes them, by its names."""
    points = None if point_coords is None else (point_coords, point_labels)
    sparse, dense = model.prompt_encoder(points=points, boxes=boxes, masks=mask_input)
    return {
        "image_pe": model.prompt_encoder.get_dense_pe(),
        "sparse_prompt_embeddings": sparse,
        "dense_prompt_embeddings": dense,
    }
