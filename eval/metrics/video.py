"""How well an object was followed through a video: J and F of each frame, and mean, recall and decay of each object.

J is the region's IoU, F the boundary's F-measure, as Perazzi et al. define them (A Benchmark Dataset and Evaluation
Methodology for Video Object Segmentation, CVPR 2016, section 5) and davis2017-evaluation, DAVIS's public program,
computes them. Written here in NumPy and OpenCV: that program is no package, and vos-benchmark 0.1.0, which is, gives no
recall and no decay, and pulls in opencv-python, which overwrites opencv-python-headless.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask

from .iou import iou

TOLERANCE = 0.008  # of the diagonal: how far apart boundaries may lie and still match

_GOOD = 0.5  # a frame above it counts as recalled


@dataclass(frozen=True)
class Statistics:
    """Of one measure of one object over its frames.

    Attributes:
        recall: share of frames above 0.5.
        decay: mean of the first quarter of the frames less that of the last: what is lost on the way.
    """

    mean: float
    recall: float
    decay: float


def region_similarity(truth: Mask, predicted: Mask) -> float:
    """J: intersection over union; 1 where both are empty."""
    return iou(truth, predicted)


def boundary_f_measure(truth: Mask, predicted: Mask, tolerance: float = TOLERANCE) -> float:
    """F: harmonic mean of the shares of either boundary that lie near the other; 1 where neither mask has a boundary.

    Args:
        tolerance: what is near, as a share of the photo's diagonal, rounded up to whole pixels.
    """
    near = math.ceil(tolerance * math.hypot(*truth.shape))
    true_edge, predicted_edge = boundary(truth), boundary(predicted)
    if not true_edge.any() or not predicted_edge.any():
        return float(true_edge.any() == predicted_edge.any())
    precision = float(_dilated(true_edge, near)[predicted_edge].mean())
    recall = float(_dilated(predicted_edge, near)[true_edge].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary(mask: Mask) -> Mask:
    """Pixels that differ from the one right, below, or right below them; the photo's own border is no boundary."""
    beyond = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    edge: Mask = (mask != beyond[:-1, 1:]) | (mask != beyond[1:, :-1]) | (mask != beyond[1:, 1:])
    return edge


def statistics(values: Sequence[float]) -> Statistics:
    """Of the scored frames of one object, in order. Neighbouring quarters share a frame, as in DAVIS's program."""
    scores = np.asarray(values, dtype=float)
    ends = np.round(np.linspace(1, len(scores), 5) + 1e-10).astype(int) - 1
    first, last = scores[ends[0] : ends[1] + 1], scores[ends[3] : ends[4] + 1]
    return Statistics(float(scores.mean()), float((scores > _GOOD).mean()), float(first.mean() - last.mean()))


def summarise(objects: Sequence[tuple[Statistics, Statistics]]) -> dict[str, float]:
    """(J, F) of each object -> DAVIS's row. Every object counts once, however long its sequence is."""
    row = {}
    for place, name in enumerate("JF"):
        for part in ("mean", "recall", "decay"):
            row[f"{name} {part}"] = float(np.mean([getattr(both[place], part) for both in objects]))
    return {"J&F": (row["J mean"] + row["F mean"]) / 2, **row}


def _dilated(edge: Mask, radius: int) -> NDArray[np.bool_]:
    """Where a pixel of ``edge`` is at most so far."""
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = (rows**2 + columns**2 <= radius**2).astype(np.uint8)
    return np.asarray(cv2.dilate(edge.astype(np.uint8), disc) > 0)
