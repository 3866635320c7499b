"""Whose masks the student learns: the teacher's alone, or the mean of several (a committee).

Models err in different places, and a model errs in other places of the mirrored photo, so the mean of their logits is
nearer to the truth than each of them. On 132 objects of 1024 pixels and more (the first 20 photos of coco_val_mini),
mIoU with boxes and with one click: TinyViT-SAM 0.739 and 0.470, with ``small`` 0.740 and 0.474, with itself mirrored
0.743 and 0.478, all three 0.744 and 0.480. (The mean of embeddings, mirrored back, is worse than one of them: 0.672 and
0.419. They hold where in the photo things are.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from repvit_sam.canvas import EMBEDDING_STRIDE
from repvit_sam.modeling.sam import SamModel
from repvit_sam.prompts import CanvasPrompts

from ..data.loader import Batch
from ..recipe import TeacherConfig
from ..teacher import encode, load_teacher
from .decoding import AllTokensDecoder, mirrored


@dataclass(frozen=True)
class MaskTeacher:
    """Decodes targets for the student's masks.

    Attributes:
        teacher: whose embedding comes with the batch.
        committee: frozen models whose logits count as much; their decoder has SAM's four mask tokens too.
        mirrored: the teacher's masks of the mirrored canvas count as much, too.
        precision: in which all but the batch's embeddings are encoded.
    """

    teacher: SamModel
    committee: tuple[SamModel, ...] = ()
    mirrored: bool = False
    precision: str = "fp32"

    @cached_property
    def _decoders(self) -> tuple[AllTokensDecoder, ...]:
        return tuple(map(AllTokensDecoder, (self.teacher, *self.committee)))

    @classmethod
    def of(cls, config: TeacherConfig, teacher: SamModel, canvas_size: int, device: torch.device) -> MaskTeacher:
        """Load the committee of a recipe.

        Raises:
            CheckpointError, ValueError: as ``load_teacher``.
        """
        committee = tuple(load_teacher(name, canvas_size, device) for name in config.committee)
        return cls(teacher, committee, mirrored=config.mirrored, precision=config.precision)

    def embeddings(self, batch: Batch) -> tuple[Tensor, ...]:
        """(B, 256, S/16, S/16) of each model, the teacher's first; last, with ``mirrored``, of the mirrored canvas."""
        assert batch.target is not None
        made = [batch.target, *(encode(model, batch.canvas, self.precision) for model in self.committee)]
        if self.mirrored:
            made.append(encode(self.teacher, batch.canvas.flip(-1), self.precision))
        return tuple(made)

    @torch.no_grad()
    def decode(self, embeddings: tuple[Tensor, ...], prompts: CanvasPrompts) -> tuple[Tensor, Tensor]:
        """``embeddings`` of one photo and K prompts -> means of logits (K, 4, S/4, S/4) and IoU (K, 4)."""
        count = len(self._decoders)
        decoded = [decode(one, prompts) for decode, one in zip(self._decoders, embeddings[:count], strict=True)]
        for embedding in embeddings[count:]:  # of the mirrored canvas
            canvas_size = embedding.shape[-1] * EMBEDDING_STRIDE
            logits, iou = self._decoders[0](embedding, mirrored(prompts, canvas_size))
            decoded.append((logits.flip(-1), iou))
        all_logits, iou_predictions = zip(*decoded, strict=True)
        return torch.stack(all_logits).mean(0), torch.stack(iou_predictions).mean(0)
