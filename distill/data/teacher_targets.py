"""The teacher's embeddings of a batch: from the cache, or computed on the spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from repvit_sam.modeling.sam import SamModel

from ..teacher import encode
from .embedding_cache import CacheError, EmbeddingCache


class Targets(Protocol):
    """Photo names, (B, 3, S, S) normalised canvases, (B, 2) contents -> (B, 256, S/16, S/16) float32."""

    def __call__(self, names: Sequence[str], canvas: Tensor, content_hw: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class OnlineTargets:
    """Encodes each batch."""

    teacher: SamModel
    precision: str

    def __call__(self, names: Sequence[str], canvas: Tensor, content_hw: Tensor) -> Tensor:
        return encode(self.teacher, canvas, self.precision)


@dataclass(frozen=True)
class CachedTargets:
    """Reads what cache_embeddings.py wrote.

    Attributes:
        row_of: name of a photo -> row in the cache.
    """

    cache: EmbeddingCache
    row_of: Mapping[str, int]

    @classmethod
    def of(cls, cache: EmbeddingCache, names: Sequence[str]) -> CachedTargets:
        """Raise CacheError where one of the photos is missing in the cache."""
        return cls(cache, dict(zip(names, cache.rows_of(names), strict=True)))

    def __call__(self, names: Sequence[str], canvas: Tensor, content_hw: Tensor) -> Tensor:
        for name, (height, width) in zip(names, content_hw.tolist(), strict=True):
            if self.cache.content_hw(self.row_of[name]) != (height, width):  # another shape, so another photo
                raise CacheError(f"{name} has changed since {self.cache.folder} was made; make a new cache")
        return torch.stack([self.cache.read(self.row_of[name]) for name in names]).to(canvas.device).float()
