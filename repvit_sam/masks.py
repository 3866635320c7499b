"""Logits -> masks at photo size; which of several masks to take; stability scores; boxes of masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .canvas import CanvasFit
from .resize import neighbours, resize_logits

if TYPE_CHECKING:
    from torch import Tensor

MASK_THRESHOLD = 0.0  # logits above it are object (SAM)
ALL_MASKS = slice(0, 4)  # the decoder's masks: the single one, then the three for an ambiguous prompt

_PIXELS_AT_ONCE = 32_000_000  # float32 logits at photo size: 128 MB

Mask = NDArray[np.bool_]
Logits = TypeVar("Logits", "Tensor", NDArray[np.float32])  # a backend's own arrays


def logits_to_photo(low_res_logits: Logits, fit: CanvasFit) -> Logits:
    """(B, C, S/4, S/4) logits -> (B, C, H, W) logits: resize to the canvas, cut the padding off, resize to the photo.

    The two bilinear steps are SAM's (Sam.postprocess_masks), and for tensors equal to it to the bit.
    """
    on_canvas = resize_logits(low_res_logits, (fit.canvas_size, fit.canvas_size))
    height, width = fit.content_hw
    content = on_canvas[..., :height, :width]
    return resize_logits(content, fit.photo_hw)


@dataclass(frozen=True)
class ObjectLogits:
    """The logits of one mask where it may be object, in pixels of the photo.

    Attributes:
        logits: (h, w)
        rows, columns: where they lie in the photo; elsewhere all logits are at or below the threshold.
    """

    logits: NDArray[np.float32]
    rows: slice
    columns: slice


def object_logits(
    low_res_logits: Tensor | NDArray[np.float32], fit: CanvasFit, threshold: float = MASK_THRESHOLD
) -> ObjectLogits:
    """(S/4, S/4) logits -> logits at photo size, only where they can be above the threshold.

    Both of SAM's bilinear steps (``logits_to_photo``) in one: each is a matrix along one side, and so is their product.
    Equal up to rounding. A resized logit is a mean of its neighbours: it is above the threshold only if one of them is.
    Tensors must be on the CPU.
    """
    low_rows, low_columns = mask_extent(np.asarray(low_res_logits > threshold))
    down = _photo_axis(len(low_res_logits), fit.canvas_size, fit.content_hw[0], fit.photo_hw[0])
    across = _photo_axis(low_res_logits.shape[1], fit.canvas_size, fit.content_hw[1], fit.photo_hw[1])
    rows, columns = down.reached_from(low_rows), across.reached_from(low_columns)
    from_rows, from_columns = down.neighbours_of(rows), across.neighbours_of(columns)
    left, right = down.matrix[rows, from_rows], across.matrix[columns, from_columns].T
    part = low_res_logits[from_rows, from_columns]
    if isinstance(part, np.ndarray):
        return ObjectLogits(left @ part @ right, rows, columns)
    import torch

    # by torch, as NumPy's own threads would keep the cores busy while torch decodes the next prompt
    logits = torch.from_numpy(left) @ part @ torch.from_numpy(right)
    return ObjectLogits(logits.numpy(), rows, columns)


def write_mask(low_res_logits: Tensor | NDArray[np.float32], fit: CanvasFit, mask: Mask) -> None:
    """(S/4, S/4) logits -> the object's pixels set in an empty (H, W) mask."""
    found = object_logits(low_res_logits, fit)
    np.greater(found.logits, MASK_THRESHOLD, out=mask[found.rows, found.columns])


def mask_at_photo_size(low_res_logits: Tensor | NDArray[np.float32], fit: CanvasFit) -> Mask:
    """(S/4, S/4) logits -> (H, W) mask."""
    mask = np.zeros(fit.photo_hw, dtype=np.bool_)
    write_mask(low_res_logits, fit, mask)
    return mask


@dataclass(frozen=True)
class _PhotoAxis:
    """Resizing from low-resolution logits to the photo, along one side.

    Attributes:
        matrix: (P, L) weights of the L low-resolution positions for each of the P of the photo.
        first, last: (P,) the first and last low-resolution position with a weight.
    """

    matrix: NDArray[np.float32]
    first: NDArray[np.intp]
    last: NDArray[np.intp]

    def reached_from(self, low: slice) -> slice:
        """Positions of the photo that depend on these low-resolution positions."""
        if low.start >= low.stop:
            return slice(0, 0)
        return slice(int(np.searchsorted(self.last, low.start)), int(np.searchsorted(self.first, low.stop)))

    def neighbours_of(self, photo: slice) -> slice:
        """Low-resolution positions that these positions of the photo depend on."""
        if photo.start >= photo.stop:
            return slice(0, 0)
        return slice(int(self.first[photo.start]), int(self.last[photo.stop - 1]) + 1)


@lru_cache(maxsize=32)  # two for each size of photo, 4 MB each for a side of 4000 pixels
def _photo_axis(low: int, canvas: int, content: int, photo: int) -> _PhotoAxis:
    on_canvas = neighbours(low, canvas)
    matrix, rows = np.zeros((photo, low), dtype=np.float32), np.arange(photo)
    near, far, distance = neighbours(content, photo)
    for position, weight in ((near, 1 - distance), (far, distance)):
        first, second, between = (array[position] for array in on_canvas)
        matrix[rows, first] += weight * (1 - between)
        matrix[rows, second] += weight * between
    used = matrix > 0
    return _PhotoAxis(matrix, used.argmax(1), low - 1 - used[:, ::-1].argmax(1))


def logits_in_parts(low_res_logits: Logits, fit: CanvasFit) -> Iterator[Logits]:
    """(N, S/4, S/4) logits -> (n, H, W) logits, some at a time, since all of them as float32 could fill the memory."""
    if not len(low_res_logits):
        return
    pixels = max(fit.photo_hw[0] * fit.photo_hw[1], fit.canvas_size**2)
    at_once = max(1, _PIXELS_AT_ONCE // pixels)
    for start in range(0, len(low_res_logits), at_once):
        yield logits_to_photo(low_res_logits[None, start : start + at_once], fit)[0]


def mask_slice(multimask_output: bool) -> slice:
    """Which of the decoder's four masks: the three for an ambiguous prompt, or the single one, which comes first."""
    return slice(1, None) if multimask_output else slice(0, 1)


def best_mask(iou_predictions: NDArray[Any]) -> int:
    """The index of the mask with the highest predicted IoU, of (C,) predictions."""
    return int(np.argmax(iou_predictions))


def stability_score(logits: Tensor, offset: float = 1.0) -> Tensor:
    """IoU of two masks, one thresholded ``offset`` logits higher, one as much lower: (..., H, W) -> (...).

    Source: SAM, appendix, section 5; segment_anything.utils.amg.calculate_stability_score, which divides 0 by 0 for an
    empty mask; here its score is 0.
    """
    high = (logits > MASK_THRESHOLD + offset).flatten(-2).sum(-1)
    low = (logits > MASK_THRESHOLD - offset).flatten(-2).sum(-1)
    return high / low.clamp(min=1)


def mask_box_xyxy(mask: Mask) -> tuple[int, int, int, int]:
    """(H, W) -> x0, y0, x1, y1 of the first and last object pixels, both inside the box; zeros for an empty mask.

    Equal to segment_anything's batched_mask_to_box.
    """
    rows, columns = mask_extent(mask)
    return columns.start, rows.start, max(columns.stop - 1, 0), max(rows.stop - 1, 0)


def mask_extent(mask: Mask) -> tuple[slice, slice]:
    """(H, W) -> rows and columns from the first to the last object pixel: ``mask[mask_extent(mask)]`` is the object.

    Both slices are empty (0 to 0) for an empty mask.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def sam_bbox(box_xyxy: Sequence[int]) -> list[int]:
    """x0, y0, x1, y1 -> x, y, width, height as segment_anything's records have it: width is x1 - x0, one short."""
    x0, y0, x1, y1 = box_xyxy
    return [x0, y0, x1 - x0, y1 - y0]


def coco_bbox(mask: Mask) -> list[int]:
    """(H, W) -> x, y, width, height in pixels as COCO counts them (pycocotools' toBbox); zeros for an empty mask."""
    rows, columns = mask_extent(mask)
    return [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start]
