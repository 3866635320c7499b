"""Run-length encoding (RLE) of masks, as COCO and pycocotools write it: runs down the columns, background first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .masks import Mask
from .photo import MAX_PIXELS

Rle = dict[str, Any]  # COCO's compressed form: {"size": [H, W], "counts": str}

_MOST_CHARACTERS = 9  # of one run length: 45 bits
_MOST_PIXELS = 2**31  # of a mask whose size is not known; sums of so many differences stay below 2**63


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
    """COCO's compressed RLE -> (H, W) bool.

    The run lengths are added up first: pycocotools leaves memory unset where they end early, and reads on where the
    text does.

    Raises:
        ValueError: it is no RLE, one of more than ``MAX_PIXELS`` pixels, or its runs do not cover its size.
    """
    from pycocotools import mask as coco_mask

    height, width = check_size_hw(rle.get("size") if isinstance(rle, dict) else None)
    counts = rle.get("counts")
    counts = counts.decode("latin-1") if isinstance(counts, bytes) else counts
    if not isinstance(counts, str):
        raise ValueError(f"an RLE's counts must be text (COCO's compressed form), got {type(counts).__name__}")
    check_runs_cover(run_lengths(counts, height * width), (height, width))
    mask: Mask = coco_mask.decode({"size": [height, width], "counts": counts.encode("ascii")}).astype(bool)
    return mask


def check_size_hw(size: Any) -> tuple[int, int]:
    """Height and width as a file gives them, checked.

    Raises:
        ValueError: not two whole numbers from 1 on, or more than ``MAX_PIXELS`` pixels.
    """
    whole = isinstance(size, (list, tuple)) and len(size) == 2 and all(isinstance(n, (int, np.integer)) for n in size)
    if not whole or min(size) < 1 or int(size[0]) * int(size[1]) > MAX_PIXELS:
        shown = repr(size)[:60]
        raise ValueError(f"a mask's size must be [height, width] with at most {MAX_PIXELS:,} pixels, got {shown}")
    return int(size[0]), int(size[1])


def check_runs_cover(runs: Sequence[int], size_hw: tuple[int, int]) -> None:
    """Check that the runs have as many pixels as the mask.

    Raises:
        ValueError: they have fewer or more.
    """
    total, (height, width) = sum(runs), size_hw
    if total != height * width:
        raise ValueError(f"run lengths must add up to {height} x {width} pixels (height x width), got {total:,}")


def run_lengths(counts: str, most: int | None = None) -> list[int]:
    """COCO's compressed counts -> run lengths down the columns, background first.

    Each character holds five bits, lowest first, of a signed number; from the fourth run on the number is the
    difference to the run two before (pycocotools' rleToString).

    Args:
        most: pixels of the mask; text with more runs or more pixels is refused.

    Raises:
        ValueError: the text is no run-length encoding, or is that of a larger mask.
    """
    most = _MOST_PIXELS if most is None else most
    characters = np.frombuffer(counts.encode("latin-1", "replace"), dtype=np.uint8)
    if not len(characters):
        return []
    bits = characters.astype(np.int64) - 48
    ends = np.flatnonzero((bits & 32) == 0)
    if bits.min() < 0 or bits.max() >= 64:
        raise ValueError("counts hold characters that are no run lengths")
    if not len(ends) or ends[-1] != len(bits) - 1:
        raise ValueError("counts end within a run length")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _MOST_CHARACTERS:
        raise ValueError("counts hold characters that are no run lengths")
    place = np.arange(len(bits)) - np.repeat(starts, lengths)  # of a character within its number
    values = np.add.reduceat((bits & 31) << (5 * place), starts)
    values -= np.where(bits[ends] & 16, np.int64(1) << (5 * lengths), 0)  # the highest bit is the sign
    if len(values) > most + 1 or np.abs(values).max() > most:
        raise ValueError(f"counts hold run lengths of more than {most} pixels")
    runs = values.copy()
    runs[1::2] = np.cumsum(values[1::2])
    runs[2::2] = np.cumsum(values[2::2])
    if runs.min() < 0:
        raise ValueError("counts hold a negative run length")
    if runs.max() > most or runs.sum() > most:
        raise ValueError(f"counts hold run lengths of more than {most} pixels")
    found: list[int] = runs.tolist()
    return found


def uncompressed_rle(rle: Rle) -> Rle:
    """COCO's compressed RLE -> {"size", "counts": [run lengths down the columns, background first]}."""
    return {"size": rle["size"], "counts": run_lengths(rle["counts"])}
