"""Counts of matched edge pixels on one photo: of a soft edge map, or of people against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask

from .boundary_matching import MAX_DISTANCE, BoundaryMatcher
from .edge_thinning import thin
from .edges import THRESHOLDS, EdgeCounts, add


def count_edges(
    edges: NDArray[np.floating],
    truths: Sequence[Mask],
    thresholds: Sequence[float] = THRESHOLDS,
    max_distance: float = MAX_DISTANCE,
) -> EdgeCounts:
    """Soft edges of one photo against what N people drew.

    Args:
        edges: (H, W), 0 to 1.
        truths: (H, W) bool, one for each person.
        thresholds: rising.
        max_distance: how far apart pixels may match, as a share of the photo's diagonal.
    """
    matcher = BoundaryMatcher(truths, max_distance)
    true_pixels = int(matcher.truths.sum())
    rows: list[tuple[int, ...]] = []
    pixels = -1
    for threshold in thresholds:
        cut = edges >= threshold
        # each cut lies inside the one before: as many pixels are the same pixels
        pixels, before = int(np.count_nonzero(cut)), pixels
        if pixels != before:
            lines = thin(cut)
            matching = matcher.match(lines)
            counts = matching.truth.sum(), true_pixels, matching.predicted.any(axis=0).sum(), lines.sum()
        rows.append(tuple(map(int, counts)))
    return EdgeCounts(*zip(*rows, strict=True))


def count_human(truths: Sequence[Mask], max_distance: float = MAX_DISTANCE) -> EdgeCounts:
    """Each of N >= 2 people against the others, added up: counts at one threshold.

    Raises:
        ValueError: fewer than two people.
    """
    if len(truths) < 2:
        raise ValueError(
            f"people are compared with each other: expected the boundaries of 2 or more, got {len(truths)}"
        )
    others = [[*truths[:k], *truths[k + 1 :]] for k in range(len(truths))]
    return add([
        count_edges(one.astype(np.float32), rest, (1.0,), max_distance)
        for one, rest in zip(truths, others, strict=True)
    ])  # fmt: skip


def counts_from_record(record: Mapping[str, Any]) -> EdgeCounts:
    """``dataclasses.asdict`` of counts, back from JSON."""
    names = ("matched_truth", "truth", "matched_predicted", "predicted")
    return EdgeCounts(*(tuple(record[name]) for name in names))
