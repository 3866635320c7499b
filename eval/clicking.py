"""Prompts made from ground truth: the box, the centre point, and the next click where a prediction is most wrong.

Coordinates are continuous, as COCO's are: pixel (0, 0) covers 0..1, its centre is (0.5, 0.5).
"""

from __future__ import annotations

import cv2
import numpy as np

from repvit_sam.masks import Mask


def box_of(mask: Mask) -> tuple[float, float, float, float]:
    """The box that holds every object pixel whole: XYXY, right and lower edge one past the last pixel, as COCO's."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def centre_of(mask: Mask) -> tuple[float, float]:
    """x, y of the centre of the pixel deepest inside (maximum of the distance transform)."""
    return _deepest(mask)[1]


def next_click(truth: Mask, predicted: Mask) -> tuple[tuple[float, float], int] | None:
    """Where a person would click next, and with which label; None where nothing is wrong.

    The deepest point of the largest error, where the larger error is the deeper one, as in RITM (Sofiiuk et al., arXiv
    2102.06583): label 1 where object is missing, 0 where there is too much.
    """
    if (truth == predicted).all():
        return None
    missing_depth, missing_point = _deepest(truth & ~predicted)
    excess_depth, excess_point = _deepest(predicted & ~truth)
    return (missing_point, 1) if missing_depth >= excess_depth else (excess_point, 0)


def _deepest(region: Mask) -> tuple[float, tuple[float, float]]:
    padded = np.pad(region, 1).astype(np.uint8)  # beyond the photo's border is outside
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(depth[y, x]), (float(x) + 0.5, float(y) + 0.5)
