"""Logits -> masks at photo size; which mask to take; stability scores; boxes of masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .canvas import CanvasFit
from .upscaling import resize_logits

if TYPE_CHECKING:
    from torch import Tensor

MASK_THRESHOLD = 0.0  # logits above it are object (SAM)
ALL_MASKS = slice(0, 4)  # of the decoder: the single mask, then the three for an ambiguous prompt

_PIXELS_AT_ONCE = 32_000_000  # float32 logits at photo size in one go: 128 MB

Mask = NDArray[np.bool_]
Logits = TypeVar("Logits", "Tensor", NDArray[np.float32])  # an engine's own arrays


def logits_to_photo(low_res_logits: Logits, fit: CanvasFit) -> Logits:
    """(B, C, S/4, S/4) -> (B, C, H, W), still logits: up to the canvas, cut the padding, then to the photo.

    The two bilinear steps are SAM's (Sam.postprocess_masks); for tensors equal to it to the bit.
    """
    on_canvas = resize_logits(low_res_logits, (fit.canvas_size, fit.canvas_size))
    height, width = fit.content_hw
    content = on_canvas[..., :height, :width]
    return resize_logits(content, fit.photo_hw)


def logits_in_parts(low_res_logits: Logits, fit: CanvasFit) -> Iterator[Logits]:
    """(N, S/4, S/4) -> (n, H, W) logits, part by part, so that float32 at photo size never fills the memory."""
    if not len(low_res_logits):
        return
    pixels = max(fit.photo_hw[0] * fit.photo_hw[1], fit.canvas_size**2)
    at_once = max(1, _PIXELS_AT_ONCE // pixels)
    for start in range(0, len(low_res_logits), at_once):
        yield logits_to_photo(low_res_logits[None, start : start + at_once], fit)[0]


def mask_slice(multimask_output: bool) -> slice:
    """Which of the decoder's four: the three for an ambiguous prompt, or the single one, which comes first."""
    return slice(1, None) if multimask_output else slice(0, 1)


def best_mask(iou_predictions: NDArray[Any]) -> int:
    """The index of the mask that the model itself thinks best, of (C,) predictions."""
    return int(np.argmax(iou_predictions))


def stability_score(logits: Tensor, offset: float = 1.0) -> Tensor:
    """IoU between the mask cut a little higher and a little lower than the threshold: (..., H, W) -> (...).

    Source: SAM, section 5 of the appendix; segment_anything.utils.amg.calculate_stability_score. An empty mask gives 0
    there divided by 0; here 0.
    """
    high = (logits > MASK_THRESHOLD + offset).flatten(-2).sum(-1)
    low = (logits > MASK_THRESHOLD - offset).flatten(-2).sum(-1)
    return high / low.clamp(min=1)


def mask_box_xyxy(mask: Mask) -> tuple[int, int, int, int]:
    """The tight box of a mask: first and last object pixel, x0, y0, x1, y1, inclusive; zeros for an empty mask.

    Inclusive corners are what segment_anything's batched_mask_to_box gives.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def sam_bbox(box_xyxy: Sequence[int]) -> list[int]:
    """x0, y0, x1, y1 -> x, y, width, height as segment_anything writes it: x1 - x0, without the last pixel."""
    x0, y0, x1, y1 = box_xyxy
    return [x0, y0, x1 - x0, y1 - y0]


def coco_bbox(mask: Mask) -> list[int]:
    """x, y, width, height as COCO has them, the last pixel counted (pycocotools' toBbox)."""
    if not mask.any():
        return [0, 0, 0, 0]
    x0, y0, x1, y1 = mask_box_xyxy(mask)
    return [x0, y0, x1 - x0 + 1, y1 - y0 + 1]
