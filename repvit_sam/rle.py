"""Run-length encoding (RLE) of masks, as COCO and pycocotools write it: runs down the columns, background first."""

from __future__ import annotations

from typing import Any

import numpy as np

from .masks import Mask

Rle = dict[str, Any]  # COCO's compressed form: {"size": [H, W], "counts": str}


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
