"""Run-length encoding (RLE) of masks, as COCO and pycocotools write it: runs down the columns, background first."""

from __future__ import annotations

from typing import Any

import numpy as np

from .masks import Mask

Rle = dict[str, Any]  # COCO's compressed form: {"size": [H, W], "counts": str}


def encode_rle(mask: Mask) -> Rle:
    """(H, W) bool -> COCO's compressed RLE, its counts as text instead of bytes, so that JSON can hold it."""
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

    Each character holds five bits, lowest first, of a signed number; from the fourth run on the number is the
    difference to the run two before (pycocotools' rleToString).

    Args:
        most: pixels of the mask; text with more runs or more pixels is refused without reading on.

    Raises:
        ValueError: the text is no run-length encoding, or is that of a larger mask.
    """
    runs: list[int] = []
    value, shift, total = 0, 0, 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 40:
            raise ValueError("counts hold characters that are no run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            if runs[-1] < 0:
                raise ValueError("counts hold a negative run length")
            total += runs[-1]
            if most is not None and (total > most or len(runs) > most + 1):
                raise ValueError(f"counts hold run lengths of more than {most} pixels")
            value, shift = 0, 0
    if shift:
        raise ValueError("counts end within a run length")
    return runs


def uncompressed_rle(rle: Rle) -> Rle:
    """COCO's compressed RLE -> {"size", "counts": [run lengths down the columns, background first]}."""
    return {"size": rle["size"], "counts": run_lengths(rle["counts"])}
