"""The embedding's error on photos that are not trained on."""

from __future__ import annotations

import torch

from repvit_sam.canvas import EMBEDDING_STRIDE
from repvit_sam.modeling.sam import SamModel

from ..data.canvas import embedding_cells
from ..data.loader import BatchLoader
from ..stages.losses import embedding_error


@torch.no_grad()
def held_out_error(student: SamModel, loader: BatchLoader, variance: float) -> float:
    """Mean over all photos of the loader, on whole canvases, divided by the teacher's variance."""
    errors = []
    dtype = next(student.parameters()).dtype
    for batch in loader.batches(range(len(loader.dataset.items)), size=1):
        assert batch.target is not None
        predicted = student.image_encoder(batch.canvas.to(dtype))
        valid = embedding_cells(batch.content_hw, predicted.shape[-1] * EMBEDDING_STRIDE).float()
        errors.append(float(embedding_error(predicted, batch.target, valid)))
    return sum(errors) / len(errors) / variance
