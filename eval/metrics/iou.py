"""Masks -> numbers."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from repvit_sam.masks import Mask

SIZES = {"all": (0.0, np.inf), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}

_BAND = 0.02  # of the diagonal


def iou(truth: Mask, predicted: Mask) -> float:
    """Intersection over union of two (H, W) masks; two empty ones agree: 1."""
    union = np.count_nonzero(truth | predicted)
    return np.count_nonzero(truth & predicted) / union if union else 1.0


def boundary_iou(truth: Mask, predicted: Mask) -> float:
    """IoU of the two bands inside the contours: it sees contours where ``iou`` sees areas.

    Source: Cheng et al., Boundary IoU, CVPR 2021, equation 2. In AP they take the lesser of this and mask IoU; here it
    stands alone.
    """
    return iou(contour_band(truth), contour_band(predicted))


def contour_band(mask: Mask) -> Mask:
    """Pixels of the object at most 2 % of the photo's diagonal from its contour; the photo's border is one.

    Distance is that of the authors' code (boundary-iou-api): steps in any of eight directions.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return mask
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    reach = max(1, round(_BAND * float(np.hypot(*mask.shape))))
    padded = np.pad(mask[box], 1).astype(np.uint8)
    inner = cv2.erode(padded, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))[1:-1, 1:-1]
    band = mask.copy()
    band[box] &= inner == 0
    return band


def clicks_needed(ious: Sequence[float], wanted: float) -> int:
    """How many clicks until the IoU is reached, of IoUs after each click; all of them where it never is.

    Source: NoC, as RITM counts it (Sofiiuk et al., arXiv 2102.06583).
    """
    return next((count for count, value in enumerate(ious, start=1) if value >= wanted), len(ious))


def mean_by_size(ious: Sequence[float], areas: Sequence[float]) -> dict[str, float | None]:
    """Mean over all, and over COCO's small (< 32x32 px), medium and large (>= 96x96 px); None for an empty class."""
    values, sizes = np.asarray(ious, dtype=float), np.asarray(areas, dtype=float)
    means: dict[str, float | None] = {}
    for name, (low, high) in SIZES.items():
        chosen = values[(sizes >= low) & (sizes < high)]
        means[name] = float(chosen.mean()) if chosen.size else None
    return means
