"""COCO's segmentations <-> masks as RLE, and masks -> polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from repvit_sam.coco_segmentation import MAX_LENGTH, segmentation_rle
from repvit_sam.masks import Mask, mask_extent
from repvit_sam.rle import Rle, decode_rle, encode_rle

Loop = list[list[float]]  # closed, [[x, y], ...] in photo pixels; a pixel's corners are whole numbers


def rle_of(segmentation: Any, photo_hw: tuple[int, int]) -> Rle | None:
    """COCO's polygons, RLE or compressed RLE -> compressed RLE; None where it is no mask of this photo."""
    try:
        return segmentation_rle(segmentation, photo_hw)
    except ValueError:  # whatever another program wrote
        return None


def area_and_bbox(rle: Rle) -> tuple[int, list[float]]:
    """Pixels, and COCO's x, y, width, height."""
    compressed = {"size": rle["size"], "counts": rle["counts"].encode("ascii")}
    return int(coco_mask.area(compressed)), coco_mask.toBbox(compressed).tolist()


def loops_of(mask: Mask, tolerance: float) -> list[Loop]:
    """A mask's edges as closed loops through the corners of its pixels: outer ones and holes.

    OpenCV's contours run through the centres of pixels. On a mask of twice the size they lie a quarter of a pixel from
    the edge, so rounding puts them on it.

    Args:
        mask: (H, W)
        tolerance: how far, in pixels, a simplified loop may lie from the edge; 0 keeps every corner.
    """
    rows, columns = mask_extent(mask)
    large = mask[rows, columns].astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    loops = []
    for contour in contours:
        corners = np.round((contour + 0.5) / 2 + [columns.start, rows.start]).astype(np.float32)
        simple = cv2.approxPolyDP(corners, tolerance, True)[:, 0]
        if len(simple) > 2:
            loops.append(simple.astype(float).tolist())
    return loops


def mask_of_loops(loops: Sequence[Loop], photo_hw: tuple[int, int]) -> Mask:
    """Closed loops -> (H, W); where loops overlap, every second one is a hole (even-odd rule).

    pycocotools fills each loop, so a reader of COCO's polygons gets the same mask. Corners beside the photo are moved
    to its edge.

    Raises:
        ValueError: the loops are longer than can be filled in a moment.
    """
    mask = np.zeros(photo_hw, dtype=bool)
    inside = [np.clip(np.array(loop, dtype=np.float64), 0, photo_hw[::-1]) for loop in loops]
    length = sum(float(np.abs(loop - np.roll(loop, 1, axis=0)).sum()) for loop in inside)
    if length > MAX_LENGTH:
        raise ValueError(f"an outline may be {MAX_LENGTH:,} pixels long, this one is {length:,.0f}")
    for loop in inside:
        flat = loop.ravel().tolist()
        (rle,) = coco_mask.frPyObjects([flat], *photo_hw)
        mask ^= coco_mask.decode(rle).astype(bool)
    return mask


def polygons_of(rle: Rle) -> list[list[float]] | None:
    """COCO's polygons of a mask, each [x, y, x, y, ...]; None for a mask with holes, which polygons cannot say."""
    mask = decode_rle(rle)
    loops = loops_of(mask, tolerance=0)
    if encode_rle(mask_of_loops(loops, mask.shape)) != encode_rle(mask):
        return None
    outer = [[number for corner in loop for number in corner] for loop in loops]
    height, width = mask.shape
    union = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outer, height, width)))
    return outer if bool((union.astype(bool) == mask).all()) else None


def segmentation_like(old: Mapping[str, Any] | None, rle: Rle, as_polygons: bool) -> Any:
    """What is written for a mask: the old record's own segmentation where the mask has not changed."""
    if old is not None and rle_of(old.get("segmentation"), tuple(rle["size"])) == rle:
        return old["segmentation"]
    return (polygons_of(rle) if as_polygons else None) or rle
