"""COCO's segmentations as strangers write them (polygons, RLE, compressed RLE) -> checked, compressed RLE.

pycocotools trusts its input: coordinates that are not finite, or edges so long that it gets no memory for them, end the
process, and counts that end early leave memory unset. So what it cannot take is refused here, and every segmentation
from a file comes through here.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rle import Rle, check_runs_cover, check_size_hw, run_lengths

MAX_LENGTH = 2_000_000  # pixels of all edges: pycocotools walks along each, in steps of a fifth of a pixel
LEAST_NUMBERS = 6  # of a polygon: three corners; pycocotools takes four numbers for a box


def segmentation_rle(segmentation: Any, photo_hw: tuple[int, int]) -> Rle:
    """A segmentation as JSON gives it -> compressed RLE.

    Args:
        photo_hw: size of the image that the segmentation belongs to.

    Raises:
        ValueError: no segmentation, one of another size, a polygon of fewer than three corners, or numbers that
            pycocotools cannot take: not finite, far outside of the image, or edges of more than ``MAX_LENGTH`` pixels.
    """
    photo_hw = check_size_hw(photo_hw)
    if isinstance(segmentation, list) and segmentation:
        return _of_polygons([_checked_polygon(polygon, photo_hw) for polygon in segmentation], photo_hw)
    if not isinstance(segmentation, dict):
        raise ValueError(f"a segmentation must be polygons or RLE, got {reprlib.repr(segmentation)}")
    if check_size_hw(segmentation.get("size")) != photo_hw:
        height, width = photo_hw
        raise ValueError(f"the RLE of an image of {height} x {width} (height x width) has size {segmentation['size']}")
    counts = segmentation.get("counts")
    if isinstance(counts, bytes):  # as pycocotools has them in memory
        counts = counts.decode("latin-1")
    if isinstance(counts, list):
        return _of_runs(counts, photo_hw)
    if not isinstance(counts, str):
        raise ValueError(f"an RLE's counts must be text or a list of run lengths, got {reprlib.repr(counts)}")
    check_runs_cover(run_lengths(counts, photo_hw[0] * photo_hw[1]), photo_hw)
    return {"size": list(photo_hw), "counts": counts}


def _checked_polygon(polygon: Any, photo_hw: tuple[int, int]) -> NDArray[np.float64]:
    """(N, 2) x and y."""
    is_list = isinstance(polygon, list) and all(isinstance(n, (int, float)) for n in polygon)
    if not is_list or len(polygon) < LEAST_NUMBERS or len(polygon) % 2:
        raise ValueError(f"a polygon must be [x, y, x, y, x, y, ...], got {reprlib.repr(polygon)}")
    reach = 2 * max(photo_hw)
    if not all(-reach <= n <= reach for n in polygon):  # so written, NaN is refused as well
        raise ValueError(f"a polygon must lie within {reach} pixels of its image's corner, got {reprlib.repr(polygon)}")
    return np.array(polygon, dtype=np.float64).reshape(-1, 2)


def _of_polygons(polygons: Sequence[NDArray[np.float64]], photo_hw: tuple[int, int]) -> Rle:
    from pycocotools import mask as coco_mask

    height, width = photo_hw
    length = sum(float(np.abs(corners - np.roll(corners, 1, axis=0)).sum()) for corners in polygons)
    if length > MAX_LENGTH:
        raise ValueError(f"polygons may have {MAX_LENGTH:,} pixels of edges, these have {length:,.0f}")
    rle = coco_mask.merge(coco_mask.frPyObjects([corners.ravel().tolist() for corners in polygons], height, width))
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def _of_runs(runs: list[Any], photo_hw: tuple[int, int]) -> Rle:
    from pycocotools import mask as coco_mask

    height, width = photo_hw
    if not all(isinstance(run, int) and 0 <= run <= height * width for run in runs):
        most = height * width
        raise ValueError(f"run lengths must be whole numbers from 0 to {most:,}, got {reprlib.repr(runs)}")
    check_runs_cover(runs, photo_hw)
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}
