"""Masks corrected by hand: brush and eraser, outline, holes, islands, merging, cutting, splitting. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from repvit_sam.masks import Mask, mask_extent

from .layer_masks import checked_mask
from .schemas import BrushEdit, EditRequest, OutlineEdit, RequestError, Rle
from .shapes import loops_of, mask_of_loops

_TOLERANCE_SHARE = 1 / 200  # of the object's diagonal, between its edge and the outline to edit: 20 to 60 corners
_MIN_TOLERANCE = 0.75  # pixels; less would make a corner of every pixel's
_MAX_PARTS = 50  # of a split


def edited_masks(request: EditRequest, photo_hw: tuple[int, int]) -> list[Mask]:
    """The masks (H, W) that an edit leads to: one, none where nothing is left, several after splitting.

    Raises:
        RequestError: a mask is damaged or of another photo's size, or an outline is too long.
    """
    mask = np.zeros(photo_hw, dtype=bool) if request.rle is None else checked_mask(request.rle, photo_hw)
    edit = request.edit
    if isinstance(edit, BrushEdit):
        results = [brushed(mask, edit)]
    elif isinstance(edit, OutlineEdit):
        try:
            results = [mask_of_loops([[list(corner) for corner in loop] for loop in edit.loops], photo_hw)]
        except ValueError as error:
            raise RequestError(str(error)) from None
    elif edit.kind == "fill_holes":
        results = [without_holes(mask)]
    elif edit.kind == "drop_islands":
        results = parts_of(mask)[:1]
    elif edit.kind == "split":
        results = parts_of(mask)
    elif edit.kind == "merge":
        results = [mask | _union(edit.others, photo_hw)]
    else:
        results = [mask & ~_union(edit.others, photo_hw)]
    return [result for result in results if result.any()]


def brushed(mask: Mask, stroke: BrushEdit) -> Mask:
    """A mask (H, W) with a round brush drawn along a line, or an eraser."""
    (height, width), margin = mask.shape, math.ceil(stroke.diameter / 2) + 1
    line = np.floor(np.array(stroke.points)).astype(np.int32).clip(-margin, [width + margin, height + margin])
    left, top = line.min(0) - margin
    right, bottom = line.max(0) + margin + 1
    far = np.ones((bottom - top, right - left), dtype=np.uint8)
    cv2.polylines(far, [np.concatenate([line, line[-1:]]) - [left, top]], False, 0)  # a point alone is not drawn
    # OpenCV's thick lines are wider than asked for
    near = cv2.distanceTransform(far, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) < stroke.diameter / 2
    rows, columns = slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0))
    inside = near[rows.start - top :, columns.start - left :][: height - rows.start, : width - columns.start]
    changed = mask.copy()
    changed[rows, columns] = ~inside & mask[rows, columns] if stroke.erase else inside | mask[rows, columns]
    return changed


def without_holes(mask: Mask) -> Mask:
    """A mask (H, W) with everything filled that it surrounds."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, dtype=np.uint8)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return filled.astype(bool)


def parts_of(mask: Mask) -> list[Mask]:
    """The parts of a mask (H, W) that do not touch, also not at corners; the largest first."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return [labels == 1 + index for index in np.argsort(-areas, kind="stable")[:_MAX_PARTS]]


def outline(rle: Rle, photo_hw: tuple[int, int]) -> list[Any]:
    """A mask's edge, simplified, to be edited by its corners: closed loops of [x, y] in photo pixels."""
    mask = checked_mask(rle, photo_hw)
    rows, columns = mask_extent(mask)
    diagonal = float(np.hypot(rows.stop - rows.start, columns.stop - columns.start))
    return loops_of(mask, max(_MIN_TOLERANCE, _TOLERANCE_SHARE * diagonal))


def _union(others: Sequence[Rle], photo_hw: tuple[int, int]) -> Mask:
    union = np.zeros(photo_hw, dtype=bool)
    for other in others:
        union |= checked_mask(other, photo_hw)
    return union
