"""Metrics of video object segmentation: J and F of each frame; mean, recall and decay of each object.

J is the region's IoU, F the boundary's F-measure, as Perazzi et al. define them (A Benchmark Dataset and Evaluation
Methodology for Video Object Segmentation, CVPR 2016, section 5) and DAVIS's program davis2017-evaluation computes
them. They are written here in NumPy and OpenCV because that program is not a package, and the package vos-benchmark
0.1.0 has neither recall nor decay and installs opencv-python over opencv-python-headless.
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

TOLERANCE = 0.008  # share of the diagonal: boundary pixels at most this far apart match

_RECALL_THRESHOLD = 0.5  # a frame above it counts as recalled


@dataclass(frozen=True)
class Statistics:
    """One measure (J or F) of one object over its frames.

    Attributes:
        recall: share of frames above 0.5.
        decay: mean of the first quarter of the frames minus the mean of the last quarter.
    """

    mean: float
    recall: float
    decay: float


def region_similarity(truth: Mask, predicted: Mask) -> float:
    """J: intersection over union of two (H, W) masks; 1 if both are empty."""
    return iou(truth, predicted)


def boundary_f_measure(truth: Mask, predicted: Mask, tolerance: float = TOLERANCE) -> float:
    """F: harmonic mean of boundary precision and boundary recall of two (H, W) masks; 1 if neither has a boundary.

    Args:
        tolerance: pixels of the boundaries match up to this distance, a share of the diagonal, rounded up to pixels.
    """
    radius = math.ceil(tolerance * math.hypot(*truth.shape))
    true_edge, predicted_edge = boundary(truth), boundary(predicted)
    if not true_edge.any() or not predicted_edge.any():
        return float(true_edge.any() == predicted_edge.any())
    precision = float(_dilated(true_edge, radius)[predicted_edge].mean())
    recall = float(_dilated(predicted_edge, radius)[true_edge].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary(mask: Mask) -> Mask:
    """Pixels that differ from their right, lower, or lower right neighbour; the photo's border is no boundary."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    edge: Mask = (mask != padded[:-1, 1:]) | (mask != padded[1:, :-1]) | (mask != padded[1:, 1:])
    return edge


def statistics(values: Sequence[float]) -> Statistics:
    """Of one object's values in its scored frames, in order. Adjacent quarters share a frame, as in DAVIS's program."""
    scores = np.asarray(values, dtype=float)
    ends = np.round(np.linspace(1, len(scores), 5) + 1e-10).astype(int) - 1
    first, last = scores[ends[0] : ends[1] + 1], scores[ends[3] : ends[4] + 1]
    return Statistics(
        float(scores.mean()), float((scores > _RECALL_THRESHOLD).mean()), float(first.mean() - last.mean())
    )


def summarise(objects: Sequence[tuple[Statistics, Statistics]]) -> dict[str, float]:
    """(J, F) of each object -> DAVIS's table row: means over objects, whatever the lengths of their sequences."""
    row = {}
    for index, name in enumerate("JF"):
        for part in ("mean", "recall", "decay"):
            row[f"{name} {part}"] = float(np.mean([getattr(both[index], part) for both in objects]))
    return {"J&F": (row["J mean"] + row["F mean"]) / 2, **row}


def _dilated(edge: Mask, radius: int) -> NDArray[np.bool_]:
    """Pixels at most ``radius`` from a pixel of ``edge``."""
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = (rows**2 + columns**2 <= radius**2).astype(np.uint8)
    return np.asarray(cv2.dilate(edge.astype(np.uint8), disc) > 0)
