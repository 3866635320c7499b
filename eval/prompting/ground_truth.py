"""Prompts made from ground truth: the box, and the first click.

Coordinates are continuous photo pixels, as in COCO: pixel (0, 0) spans 0..1, and its centre is (0.5, 0.5).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask, mask_box_xyxy

from ..datasets.boxes import Box

Point = tuple[float, float]  # x, y


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
    return deepest_pixel(depth_inside(mask))[1]


def centroid_of(mask: Mask) -> Point:
    """Centre of the object's pixel that is nearest to the mean of all its pixels."""
    rows, columns = np.nonzero(mask)
    nearest = np.hypot(rows - rows.mean(), columns - columns.mean()).argmin()
    return float(columns[nearest]) + 0.5, float(rows[nearest]) + 0.5


def depth_inside(region: Mask) -> NDArray[np.float32]:
    """(H, W) distance of each pixel from what is outside the region, in pixels."""
    padded = np.pad(region, 1).astype(np.uint8)  # pixels beyond the photo's border count as outside
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return depth.astype(np.float32, copy=False)


def deepest_pixel(depth: NDArray[np.float32]) -> tuple[float, Point]:
    """The largest depth, and the centre of the first pixel that has it."""
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(depth[y, x]), (float(x) + 0.5, float(y) + 0.5)
