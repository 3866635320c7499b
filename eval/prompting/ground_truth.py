"""Prompts made from ground truth: the box, the first click, and the next click where a predicted mask is wrong.

Coordinates are continuous photo pixels, as in COCO: pixel (0, 0) spans 0..1, and its centre is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask, mask_box_xyxy

from ..datasets.boxes import Box

Point = tuple[float, float]  # x, y
NextClick = Literal["deepest", "ritm"]


def box_of(mask: Mask) -> Box:
    """The tight box of an (H, W) mask: XYXY, its right and lower edge one past the last pixel, as in COCO.

    Raises:
        ValueError: the mask is empty.
    """
    if not mask.any():
        raise ValueError("expected a mask with an object to take its box, got an empty mask")
    x0, y0, x1, y1 = mask_box_xyxy(mask)
    return float(x0), float(y0), float(x1 + 1), float(y1 + 1)


def centre_of(mask: Mask) -> Point:
    """Centre of the pixel that is deepest inside the object (maximum of the distance transform)."""
    return _deepest(_depth(mask))[1]


def centroid_of(mask: Mask) -> Point:
    """Centre of the object's pixel that is nearest to the mean of all its pixels."""
    rows, columns = np.nonzero(mask)
    nearest = np.hypot(rows - rows.mean(), columns - columns.mean()).argmin()
    return float(columns[nearest]) + 0.5, float(rows[nearest]) + 0.5


def next_click(
    truth: Mask, predicted: Mask, rule: NextClick = "deepest", clicked: Iterable[Point] = ()
) -> tuple[Point, int] | None:
    """The next click (point and label) to correct a predicted mask; None if no pixel is wrong.

    The click is at the deepest point of the error, as in RITM (Sofiiuk et al., arXiv 2102.06583): with label 1 where
    object is missing, 0 where there is too much. If both errors are equally deep, "deepest" clicks the missing object;
    "ritm" clicks the excess, and never clicks a pixel twice, as the code of RITM does.

    Args:
        clicked: the earlier points, for "ritm".
    """
    if (truth == predicted).all():
        return None
    missing, excess = _depth(truth & ~predicted), _depth(predicted & ~truth)
    if rule == "ritm":
        for x, y in clicked:
            missing[int(y), int(x)] = excess[int(y), int(x)] = 0
    (missing_depth, missing_point), (excess_depth, excess_point) = _deepest(missing), _deepest(excess)
    if not max(missing_depth, excess_depth):
        return None  # all wrong pixels have been clicked
    object_is_missing = missing_depth > excess_depth or (rule == "deepest" and missing_depth == excess_depth)
    return (missing_point, 1) if object_is_missing else (excess_point, 0)


def _depth(region: Mask) -> NDArray[np.float32]:
    padded = np.pad(region, 1).astype(np.uint8)  # pixels beyond the photo's border count as outside
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return depth.astype(np.float32, copy=False)


def _deepest(depth: NDArray[np.float32]) -> tuple[float, Point]:
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(depth[y, x]), (float(x) + 0.5, float(y) + 0.5)
