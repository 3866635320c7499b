"""Run-length encoding (RLE) of masks, as COCO and pycocotools write it: runs down the columns, background first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .masks import Mask

Rle = dict[str, Any]  # COCO's compressed form: {"size": [H, W], "counts": str}


def encode_rle(mask: Mask) -> Rle:
    """(H, W) bool -> COCO's compressed RLE, its counts as text instead of bytes, so that JSON can hold it."""
    from pycocotools import mask as coco_mask

    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def encode_rle_of_part(part: Mask, top: int, left: int, photo_hw: tuple[int, int]) -> Rle:
    """As ``encode_rle`` of a photo's mask that is empty outside of a part, without making the whole mask.

    Args:
        part: (h, w), with its first pixel at row ``top`` and column ``left`` of the photo.
    """
    from pycocotools import mask as coco_mask

    height, width = photo_hw
    # a background row under the part ends every run within its column
    columns = np.pad(part.T, ((0, 0), (0, 1))).ravel()
    edges = np.flatnonzero(np.diff(columns, prepend=False))  # starts and ends of runs, in turn
    column, row = np.divmod(edges, part.shape[0] + 1)
    places = (column + left) * height + row + top
    if part.shape[0] == height:  # runs that go on at the top of the next column are one
        places = _joined(places)
    if not len(places) or places[-1] < height * width:
        places = np.append(places, height * width)
    counts = np.diff(places, prepend=0).tolist()
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def _joined(places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Starts and ends of runs, in turn, without each end that is also the next start."""
    same = np.flatnonzero(places[1:-1:2] == places[2::2])
    return np.delete(places, np.concatenate([2 * same + 1, 2 * same + 2]))


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
