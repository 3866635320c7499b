"""Prompts made from ground truth: the box, the centre point, and the next click where a prediction is most wrong.

Coordinates are continuous, as COCO's are: pixel (0, 0) covers 0..1, its centre is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask

Point = tuple[float, float]  # x, y
NextClick = Literal["deepest", "ritm"]


def box_of(mask: Mask) -> tuple[float, float, float, float]:
    """The box that holds every object pixel whole: XYXY, right and lower edge one past the last pixel, as COCO's."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def centre_of(mask: Mask) -> Point:
    """x, y of the centre of the pixel deepest inside (maximum of the distance transform)."""
    return _deepest(_depth(mask))[1]


def centroid_of(mask: Mask) -> Point:
    """x, y of the centre of the object's pixel nearest to the mean of them all."""
    rows, columns = np.nonzero(mask)
    nearest = np.hypot(rows - rows.mean(), columns - columns.mean()).argmin()
    return float(columns[nearest]) + 0.5, float(rows[nearest]) + 0.5


def next_click(
    truth: Mask, predicted: Mask, rule: NextClick = "deepest", clicked: Iterable[Point] = ()
) -> tuple[Point, int] | None:
    """Where a person would click next, and with which label; None where nothing is wrong.

    The deepest point of the largest error, where the larger error is the deeper one, as in RITM (Sofiiuk et al., arXiv
    2102.06583): label 1 where object is missing, 0 where there is too much. Where both are as deep, "deepest" says
    that object is missing. "ritm" says there is too much, and never clicks a pixel twice, as their code does.

    Args:
        clicked: the points before, for "ritm".
    """
    if (truth == predicted).all():
        return None
    missing, excess = _depth(truth & ~predicted), _depth(predicted & ~truth)
    if rule == "ritm":
        for x, y in clicked:
            missing[int(y), int(x)] = excess[int(y), int(x)] = 0
    (missing_depth, missing_point), (excess_depth, excess_point) = _deepest(missing), _deepest(excess)
    if not max(missing_depth, excess_depth):
        return None  # what is wrong has been clicked, pixel by pixel
    object_is_missing = missing_depth > excess_depth or (rule == "deepest" and missing_depth == excess_depth)
    return (missing_point, 1) if object_is_missing else (excess_point, 0)


def _depth(region: Mask) -> NDArray[np.float32]:
    padded = np.pad(region, 1).astype(np.uint8)  # beyond the photo's border is outside
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return depth.astype(np.float32, copy=False)


def _deepest(depth: NDArray[np.float32]) -> tuple[float, Point]:
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(depth[y, x]), (float(x) + 0.5, float(y) + 0.5)
