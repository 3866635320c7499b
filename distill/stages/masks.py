"""Stage three: SAM's own training on true masks (arXiv 2304.02643, appendix A); also fine-tuning on one's own."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from repvit_sam.canvas import EMBEDDING_STRIDE, LOGITS_STRIDE
from repvit_sam.modeling.sam import SamModel
from repvit_sam.prompts import CanvasPrompts

from ..data.canvas import photo_cells
from ..data.loader import Batch
from ..data.sampler import rng_at
from ..recipe import MasksStage
from .decoding import (
    SINGLE_TOKEN,
    AllTokensDecoder,
    boxes_of,
    no_loss,
    noised,
    on_objects,
    point_in,
    value_at,
    with_points,
)
from .losses import DICE_WEIGHT, FOCAL_WEIGHT, IOU_WEIGHT, at_least_float32, mask_dice, mask_focal, mask_iou

_MIN_CORRECTIONS_FOR_MASK_ONLY = 5


class MaskLosses(nn.Module):
    """20 focal + 1 dice + 1 squared error of the predicted IoU, over rounds of simulated correction."""

    def __init__(self, student: SamModel, stage: MasksStage, seed: int) -> None:
        super().__init__()
        self.student = student
        self._decode = AllTokensDecoder(student)
        self._stage, self._seed = stage, seed

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        embeddings = at_least_float32(self.student.image_encoder(batch.canvas))
        photos = [
            self._photo(embeddings[b : b + 1], batch.content_hw[b : b + 1], batch.masks[b], position)
            for b, position in enumerate(batch.positions)
        ]
        loss, iou, first = (torch.stack(values).mean() for values in zip(*photos, strict=True))
        return {"loss": loss, "iou": iou, "first_iou": first}

    def _photo(
        self, embedding: Tensor, content_hw: Tensor, masks: Tensor, position: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss; the mean IoU after the last and after the first round."""
        if not len(masks):  # all masks lie outside the view
            return no_loss(self.student), embedding.new_ones(()), embedding.new_ones(())
        canvas_size = embedding.shape[-1] * EMBEDDING_STRIDE
        valid = photo_cells(content_hw, canvas_size // LOGITS_STRIDE, LOGITS_STRIDE)[0, 0]
        rng = rng_at(position, self._seed + 3)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        truth = masks[torch.randperm(len(masks), generator=generator)[: self._stage.masks].to(masks.device)]
        starts_with_point = bool(rng.random() < 0.5)
        if starts_with_point:
            points, _ = point_in(truth, generator)
            prompts = on_objects(points)
        else:
            prompts = CanvasPrompts(boxes=noised(boxes_of(truth), canvas_size, generator))
        # SAM's eleven rounds have two without a new point, so that the model learns to use its own logits: one at
        # random and the last; a few rounds are needed for the corrections themselves
        last = self._stage.rounds - 1
        mask_only_rounds = {int(rng.integers(1, last)), last} if last >= _MIN_CORRECTIONS_FOR_MASK_ONLY else set()
        total, ious = embedding.new_zeros(()), []
        for round_ in range(self._stage.rounds):
            logits, iou_predictions = self._decode(embedding, prompts)
            loss, chosen, iou = _round_loss(
                logits, iou_predictions, truth.float(), valid, multimask_output=starts_with_point and round_ == 0
            )
            total = total + loss
            ious.append(iou)
            if round_ == last:
                break
            prompts = replace(prompts, mask_input=chosen[:, None].detach())
            if round_ + 1 not in mask_only_rounds:
                points, wrong = point_in(((chosen > 0) != truth) & valid, generator)
                labels = value_at(truth, points)
                prompts = with_points(prompts, points, torch.where(wrong, labels, -torch.ones_like(labels)))
        return total / self._stage.rounds, ious[-1], ious[0]


def _round_loss(
    logits: Tensor, iou_predictions: Tensor, truth: Tensor, valid: Tensor, multimask_output: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, the logits for the next round (K, S/4, S/4), and their mean IoU.

    Of three guesses at one point only the best gets a mask loss; each gets an IoU loss. The next round starts from the
    guess with the best predicted IoU, as for a user.
    """
    tokens = slice(SINGLE_TOKEN + 1, None) if multimask_output else slice(SINGLE_TOKEN, SINGLE_TOKEN + 1)
    logits, iou_predictions = logits[:, tokens], iou_predictions[:, tokens]
    target = truth[:, None]  # (K, 1, S/4, S/4), the same for all guesses
    mask_loss = FOCAL_WEIGHT * mask_focal(logits, target, valid) + DICE_WEIGHT * mask_dice(logits, target, valid)
    iou = mask_iou(logits, target, valid)
    loss = mask_loss.min(1).values.mean() + IOU_WEIGHT * (iou_predictions - iou).square().mean()
    rows, best = torch.arange(len(logits), device=logits.device), iou_predictions.argmax(1)
    return loss, logits[rows, best], iou[rows, best].mean()
