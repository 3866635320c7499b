"""Positions -> batches on the device: photos read ahead, normalised, augmented, with the teacher's embedding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from ..recipe import AugmentConfig
from .augment import apply_views, draw_view, view_masks
from .canvas import PhotoCanvas, embedding_cells, normalise
from .dataset import CanvasDataset
from .prefetch import in_threads
from .sampler import photo_at, rng_at
from .teacher_targets import Targets

_PHOTOS_FOR_VARIANCE = 32


class Batch(NamedTuple):
    """Some photos, as a stage sees them.

    Attributes:
        positions: of the photos in the stage; everything random about them follows from it.
        canvas: (B, 3, S, S) float32, normalised.
        content_hw: (B, 2) long.
        target: (B, 256, S/16, S/16) float32, the teacher's embedding; None where the stage needs none.
        masks: (K, S/4, S/4) bool for each photo; K may be 0.
    """

    positions: tuple[int, ...]
    canvas: Tensor
    content_hw: Tensor
    target: Tensor | None
    masks: tuple[Tensor, ...]


@dataclass(frozen=True)
class BatchLoader:
    """Turns positions into batches.

    Attributes:
        seed: of the photos' order and of their views.
        targets: None where the stage needs no embedding of the teacher.
    """

    dataset: CanvasDataset
    device: torch.device
    seed: int
    augment: AugmentConfig
    targets: Targets | None = None

    def batches(self, positions: Iterable[int], size: int) -> Iterator[Batch]:
        """Batches of ``size`` positions, in their order."""
        photos = in_threads(self._read, positions, self.dataset.workers, ahead=2 * size)
        while group := list(islice(photos, size)):
            yield self._batch(tuple(position for position, _ in group), [photo for _, photo in group])

    def _read(self, position: int) -> tuple[int, PhotoCanvas]:
        return position, self.dataset[photo_at(position, len(self.dataset.items), self.seed)]

    def _batch(self, positions: tuple[int, ...], photos: Sequence[PhotoCanvas]) -> Batch:
        content_hw = torch.tensor([photo.content_hw for photo in photos], device=self.device)
        stacked = torch.stack([photo.canvas for photo in photos]).to(self.device, non_blocking=True)
        canvas = normalise(stacked, content_hw)
        masks = [torch.from_numpy(photo.masks).to(self.device) for photo in photos]
        if self.augment.active:
            views = [draw_view(self.augment, rng_at(position, self.seed)) for position in positions]
            canvas, frame = apply_views(canvas, content_hw, views)
            masks, content_hw = view_masks(masks, frame), frame.content_hw
        target = self.targets([photo.name for photo in photos], canvas, content_hw) if self.targets else None
        return Batch(positions, canvas, content_hw, target, tuple(masks))


def targets_variance(loader: BatchLoader) -> float:
    """Of the teacher's embedding over some photos, about each channel's mean: what losses are divided by."""
    plain = replace(loader, augment=AugmentConfig())
    cells = []
    for batch in plain.batches(range(min(_PHOTOS_FOR_VARIANCE, len(loader.dataset.items))), size=1):
        assert batch.target is not None
        valid = embedding_cells(batch.content_hw, batch.canvas.shape[-1])[0, 0]
        cells.append(batch.target[0][:, valid])  # (256, cells)
    return float(torch.cat(cells, dim=1).var(dim=1, correction=0).mean())
