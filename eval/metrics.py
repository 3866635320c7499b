"""Masks -> numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from repvit_sam.masks import Mask

SIZES = {"all": (0.0, np.inf), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}


def iou(truth: Mask, predicted: Mask) -> float:
    """Intersection over union of two (H, W) masks; two empty ones agree: 1."""
    union = np.count_nonzero(truth | predicted)
    return np.count_nonzero(truth & predicted) / union if union else 1.0


def mean_by_size(ious: Sequence[float], areas: Sequence[float]) -> dict[str, float | None]:
    """Mean over all, and over COCO's small (< 32x32 px), medium and large (>= 96x96 px); None for an empty class."""
    values, sizes = np.asarray(ious, dtype=float), np.asarray(areas, dtype=float)
    means: dict[str, float | None] = {}
    for name, (low, high) in SIZES.items():
        chosen = values[(sizes >= low) & (sizes < high)]
        means[name] = float(chosen.mean()) if chosen.size else None
    return means
