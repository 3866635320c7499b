"""Stage one: the student's image encoder makes the teacher's embedding (decoupled distillation, arXiv 2306.14289)."""

from __future__ import annotations

from torch import Tensor, nn

from repvit_sam.canvas import EMBEDDING_STRIDE
from repvit_sam.modeling.sam import SamModel

from ..data.augment import cut_windows, draw_windows
from ..data.canvas import embedding_cells
from ..data.loader import Batch
from ..data.sampler import rng_at
from ..recipe import EncoderStage
from .losses import embedding_error


class EncoderLosses(nn.Module):
    """Squared error over the photo, divided by the teacher's variance: 1.0 is the error of predicting the mean."""

    def __init__(self, student: SamModel, stage: EncoderStage, variance: float, seed: int) -> None:
        super().__init__()
        self.image_encoder = student.image_encoder
        self._stage, self._variance, self._seed = stage, variance, seed

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        assert batch.target is not None
        canvas, target = batch.canvas, batch.target
        valid = embedding_cells(batch.content_hw, canvas.shape[-1]).float()
        if self._stage.window:
            canvas, target, valid = self._windows(batch, valid)
        predicted = self.image_encoder(canvas)
        error = embedding_error(predicted, target, valid) / self._variance
        loss = error
        if self._stage.padding_weight:
            weight = valid + self._stage.padding_weight * (1 - valid)
            loss = embedding_error(predicted, target, weight) / self._variance
        return {"loss": loss.mean(), "embedding_error": error.mean().detach()}

    def _windows(self, batch: Batch, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        window, count = self._stage.window, self._stage.windows
        assert window is not None
        assert batch.target is not None
        corners = [
            draw_windows((int(h), int(w)), batch.canvas.shape[-1], window, count, rng_at(position, self._seed + 1))
            for position, (h, w) in zip(batch.positions, batch.content_hw.tolist(), strict=True)
        ]
        return (
            cut_windows(batch.canvas, corners, window, 1),
            cut_windows(batch.target, corners, window, EMBEDDING_STRIDE),
            cut_windows(valid, corners, window, EMBEDDING_STRIDE),
        )
