"""Stage two: prompt in the loop. Student and teacher decode the same prompts and should give the same masks.

The idea is EdgeSAM's (arXiv 2312.06660, section 3.3; own code): the next point lies where the two disagree, labelled by
the teacher. The decoder is frozen unless the recipe says otherwise, so that predicted IoUs keep their calibration.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from repvit_sam.canvas import EMBEDDING_STRIDE, LOGITS_STRIDE
from repvit_sam.modeling.sam import SamModel
from repvit_sam.prompts import CanvasPrompts

from ..data.canvas import embedding_cells, photo_cells
from ..data.loader import Batch
from ..data.sampler import rng_at
from ..recipe import PromptsStage
from .decoding import SINGLE_TOKEN, AllTokensDecoder, boxes_of, no_loss, on_objects, point_in, value_at, with_points
from .losses import BCE_WEIGHT, DISTILLED_DICE_WEIGHT, at_least_float32, embedding_error, mask_bce, mask_dice, mask_iou
from .mask_teacher import MaskTeacher

_LARGEST_OBJECT = 0.9  # share of the photo; SAM's training drops larger masks (arXiv 2304.02643, appendix A)


class PromptLosses(nn.Module):
    """5 BCE + 5 dice between the student's and the teacher's masks, all four tokens, over the photo."""

    def __init__(
        self, student: SamModel, teacher: MaskTeacher, stage: PromptsStage, variance: float, seed: int
    ) -> None:
        super().__init__()
        self.student = student
        self._decode = AllTokensDecoder(student)
        self._teacher = teacher
        self._stage, self._variance, self._seed = stage, variance, seed

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        assert batch.target is not None
        embeddings = at_least_float32(self.student.image_encoder(batch.canvas))
        targets = self._teacher.embeddings(batch)
        losses, agreements = [], []
        for b, position in enumerate(batch.positions):
            target = tuple(one[b : b + 1] for one in targets)
            loss, agreement = self._photo(
                embeddings[b : b + 1], target, batch.content_hw[b : b + 1], batch.masks[b], position
            )
            losses.append(loss)
            agreements.append(agreement)
        masks_loss = torch.stack(losses).mean()
        valid = embedding_cells(batch.content_hw, batch.target.shape[-1] * EMBEDDING_STRIDE).float()
        error = embedding_error(embeddings, batch.target, valid).mean() / self._variance
        return {
            "loss": masks_loss + self._stage.embedding_weight * error,
            "masks_loss": masks_loss.detach(),
            "embedding_error": error.detach(),
            "agreement": torch.stack(agreements).mean(),
        }

    def _photo(
        self, embedding: Tensor, target: tuple[Tensor, ...], content_hw: Tensor, annotated: Tensor, position: int
    ) -> tuple[Tensor, Tensor]:
        """The loss, and the mean IoU of student's and teacher's masks, over the prompts of one photo."""
        side = embedding.shape[-1] * EMBEDDING_STRIDE // LOGITS_STRIDE
        valid = photo_cells(content_hw, side, LOGITS_STRIDE)[0, 0]  # (S/4, S/4)
        rng = rng_at(position, self._seed + 2)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        prompts = self._first_prompts(target, valid, annotated, bool(rng.random() < 0.5), generator)
        if prompts is None:  # a blank photo has nothing to prompt for
            return no_loss(self.student), embedding.new_ones(())
        total, agreement = embedding.new_zeros(()), embedding.new_zeros(())
        for round_ in range(self._stage.rounds):
            teacher_logits, iou_predictions = self._teacher.decode(target, prompts)
            logits, _ = self._decode(embedding, prompts)
            teacher_masks = (teacher_logits > 0).float()
            bce, dice = mask_bce(logits, teacher_masks, valid), mask_dice(logits, teacher_masks, valid)
            total = total + (BCE_WEIGHT * bce + DISTILLED_DICE_WEIGHT * dice).mean()
            ambiguous = prompts.boxes is None and round_ == 0
            rows = torch.arange(len(logits), device=logits.device)
            single = torch.full_like(rows, SINGLE_TOKEN)
            token = iou_predictions[:, SINGLE_TOKEN + 1 :].argmax(1) + 1 if ambiguous else single
            student_mask, teacher_mask = logits[rows, token].detach() > 0, teacher_logits[rows, token] > 0
            agreement = agreement + mask_iou(logits[rows, token], teacher_mask.float(), valid.float()).mean()
            points, differs = point_in((student_mask != teacher_mask) & valid, generator)
            labels = value_at(teacher_mask, points)
            prompts = with_points(prompts, points, torch.where(differs, labels, -torch.ones_like(labels)))
        return total / self._stage.rounds, agreement / self._stage.rounds

    def _first_prompts(
        self,
        target: tuple[Tensor, ...],
        valid: Tensor,
        annotated: Tensor,
        as_boxes: bool,
        generator: torch.Generator,
    ) -> CanvasPrompts | None:
        """Points or boxes: of annotated masks where there are some, else of the teacher's masks at random points."""
        count = self._stage.prompts
        if len(annotated):
            objects = annotated[torch.randperm(len(annotated), generator=generator)[:count].to(annotated.device)]
            points, _ = point_in(objects, generator)
        else:
            points, _ = point_in(valid[None].expand(count, -1, -1), generator)
            taught, iou_predictions = self._teacher.decode(target, on_objects(points))
            best = iou_predictions[:, SINGLE_TOKEN + 1 :].argmax(1) + 1
            objects = (taught[torch.arange(count, device=best.device), best] > 0) & valid
            share = objects.sum((1, 2)) / valid.sum().clamp(min=1)
            kept = (share > 0) & (share < _LARGEST_OBJECT)
            objects, points = objects[kept], points[kept]
        if not len(objects):
            return None
        if as_boxes:
            return CanvasPrompts(boxes=boxes_of(objects))
        return on_objects(points)
