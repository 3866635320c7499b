"""IoU and boundary IoU of two masks; their means by size of the object; clicks needed for an IoU."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from repvit_sam.masks import Mask, mask_box_xyxy

SIZES = {"all": (0.0, np.inf), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}

_BAND = 0.02  # width of the band, as a share of the diagonal


def iou(truth: Mask, predicted: Mask) -> float:
    """Intersection over union of two (H, W) masks; 1 if both are empty."""
    union = np.count_nonzero(truth | predicted)
    return np.count_nonzero(truth & predicted) / union if union else 1.0


def boundary_iou(truth: Mask, predicted: Mask) -> float:
    """IoU of the bands along the inside of the two contours: it measures contours, ``iou`` measures areas.

    Source: Cheng et al., Boundary IoU, CVPR 2021, equation 2. Their Boundary AP takes the smaller of this and mask IoU;
    this is the value by itself.
    """
    return iou(contour_band(truth), contour_band(predicted))


def contour_band(mask: Mask) -> Mask:
    """Pixels of the object within 2 % of the photo's diagonal from its contour; the photo's border counts as contour.

    Distance is counted as in the authors' code (boundary-iou-api): in steps in any of eight directions.
    """
    if not mask.any():
        return mask
    x0, y0, x1, y1 = mask_box_xyxy(mask)
    box = np.s_[y0 : y1 + 1, x0 : x1 + 1]  # only the pixels around the object are eroded: faster
    reach = max(1, round(_BAND * float(np.hypot(*mask.shape))))
    padded = np.pad(mask[box], 1).astype(np.uint8)
    inner = cv2.erode(padded, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))[1:-1, 1:-1]
    band = mask.copy()
    band[box] &= inner == 0
    return band


def clicks_needed(ious: Sequence[float], target: float) -> int:
    """Number of clicks until the IoU reaches the target, given the IoU after each click; all clicks if it never does.

    Source: NoC, as RITM counts it (Sofiiuk et al., arXiv 2102.06583).
    """
    return next((count for count, value in enumerate(ious, start=1) if value >= target), len(ious))


def mean_by_size(ious: Sequence[float], areas: Sequence[float]) -> dict[str, float | None]:
    """Mean over all, and over COCO's small (< 32x32 px), medium and large (>= 96x96 px); None if there are none."""
    values, sizes = np.asarray(ious, dtype=float), np.asarray(areas, dtype=float)
    means: dict[str, float | None] = {}
    for name, (low, high) in SIZES.items():
        chosen = values[(sizes >= low) & (sizes < high)]
        means[name] = float(chosen.mean()) if chosen.size else None
    return means
