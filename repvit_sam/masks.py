"""Logits -> masks at the size of the photo; which of them to take; how firm they are; their boxes and RLE."""

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

_PIXELS_AT_ONCE = 32_000_000  # float32 logits at photo size in one go: 128 MB

Mask = NDArray[np.bool_]
Logits = TypeVar("Logits", "Tensor", NDArray[np.float32])  # an engine's own arrays
Rle = dict[str, Any]  # COCO's compressed form: {"size": [H, W], "counts": str}


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


def masks_asked_for(multimask_output: bool) -> slice:
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


def box_xywh(box_xyxy: Sequence[int]) -> list[int]:
    """x0, y0, x1, y1 -> x, y, width, height as segment_anything writes it: x1 - x0, without the last pixel."""
    x0, y0, x1, y1 = box_xyxy
    return [x0, y0, x1 - x0, y1 - y0]


def coco_box(mask: Mask) -> list[int]:
    """x, y, width, height as COCO has them, the last pixel counted (pycocotools' toBbox)."""
    if not mask.any():
        return [0, 0, 0, 0]
    x0, y0, x1, y1 = mask_box_xyxy(mask)
    return [x0, y0, x1 - x0 + 1, y1 - y0 + 1]


def encode_rle(mask: Mask) -> Rle:
    """(H, W) bool -> COCO's compressed RLE, with text instead of bytes so that it goes into JSON."""
    from pycocotools import mask as coco_mask

    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode_rle(rle: Rle) -> Mask:
    """COCO's compressed RLE -> (H, W) bool."""
    from pycocotools import mask as coco_mask

    counts = rle["counts"]
    data = {"size": rle["size"], "counts": counts.encode("ascii") if isinstance(counts, str) else counts}
    return coco_mask.decode(data).astype(bool)


def run_lengths(counts: str, most: int | None = None) -> list[int]:
    """COCO's compressed counts -> run lengths down the columns, background first.

    Five bits a character, lowest first, signed, from the third run on as the difference to the run before the last
    (pycocotools' rleToString).

    Args:
        most: pixels of the mask; text that has more runs or more pixels is refused as soon as that is seen.

    Raises:
        ValueError: text that no encoder writes.
    """
    runs: list[int] = []
    value, shift, total = 0, 0, 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 40:
            raise ValueError("no run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            if runs[-1] < 0:
                raise ValueError("a negative run length")
            total += runs[-1]
            if most is not None and (total > most or len(runs) > most + 1):
                raise ValueError("run lengths of a larger mask")
            value, shift = 0, 0
    if shift:
        raise ValueError("run lengths that end early")
    return runs


def uncompressed_rle(mask: Mask) -> Rle:
    """(H, W) bool -> {"size", "counts": [run lengths down the columns, background first]}."""
    down = np.concatenate([[False], mask.T.ravel(), [True]])  # sentinels so that every run has two ends
    starts = np.flatnonzero(down[1:] != down[:-1])
    ends = np.concatenate([[0], starts, [mask.size]])
    counts = np.diff(ends)
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]
    return {"size": list(mask.shape), "counts": counts.tolist()}
