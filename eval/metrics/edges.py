"""Counts of matched boundary pixels -> the metrics of the Berkeley boundary benchmark: ODS, OIS, AP, R50.

Recall is the share of true pixels, summed over all annotators, that are matched. Precision is the share of predicted
pixels that are matched with a true pixel of at least one annotator. Counts are summed over photos before they are
divided. As in ``collect_eval_bdry`` of the BSDS500 benchmark (Arbelaez, Maire, Fowlkes, Malik, PAMI 2011) and, for R50,
``edgesEvalDir`` of Dollar's toolbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = tuple(k / 100 for k in range(1, 100))

Curve = NDArray[np.float64]  # (T,), one value per threshold


@dataclass(frozen=True)
class EdgeCounts:
    """Numbers of pixels at each of T thresholds, of one photo or summed over several.

    Attributes:
        matched_truth, truth: true pixels that are matched, and all true pixels, summed over annotators.
        matched_predicted, predicted: predicted pixels matched with any annotator's, and all predicted pixels.
    """

    matched_truth: tuple[int, ...]
    truth: tuple[int, ...]
    matched_predicted: tuple[int, ...]
    predicted: tuple[int, ...]

    @property
    def recall(self) -> Curve:
        return _ratio(self.matched_truth, self.truth)

    @property
    def precision(self) -> Curve:
        return _ratio(self.matched_predicted, self.predicted)

    def at(self, index: int) -> EdgeCounts:
        """The counts at one threshold."""
        return EdgeCounts(*((row[index],) for row in self._rows()))

    def _rows(self) -> tuple[tuple[int, ...], ...]:
        return self.matched_truth, self.truth, self.matched_predicted, self.predicted


@dataclass(frozen=True)
class EdgeScores:
    """The metrics of a set of photos.

    Attributes:
        ods: F at the best threshold for the whole set, which may lie between two of the thresholds.
        ois: F with the best threshold of each photo.
        average_precision: mean precision over recalls 0, 0.01, ... 1, taken as 0 outside of the curve; None for a curve
            of one point.
        recall_at_half_precision: R50. None if precision never reaches 50 %, and for a curve of one point.
        recall, precision: (T,) the curve.
    """

    ods: float
    ods_threshold: float
    ods_recall: float
    ods_precision: float
    ois: float
    ois_recall: float
    ois_precision: float
    average_precision: float | None
    recall_at_half_precision: float | None
    thresholds: tuple[float, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]

    @property
    def figures(self) -> dict[str, float | None]:
        """The four values of published tables."""
        names = ("ODS", "OIS", "AP", "R50")
        values = (self.ods, self.ois, self.average_precision, self.recall_at_half_precision)
        return dict(zip(names, values, strict=True))


def add(counts: Sequence[EdgeCounts]) -> EdgeCounts:
    """The sum of counts over photos."""
    rows = (np.sum(row, axis=0).tolist() for row in zip(*(count._rows() for count in counts), strict=True))
    return EdgeCounts(*map(tuple, rows))


def score(photos: Sequence[EdgeCounts], thresholds: Sequence[float] = THRESHOLDS) -> EdgeScores:
    """The metrics of photos that were counted at the same thresholds.

    Raises:
        ValueError: no photos, or counts at another number of thresholds.
    """
    if not photos:
        raise ValueError("there are no photos to score")
    if any(len(photo.truth) != len(thresholds) for photo in photos):
        raise ValueError(f"expected counts at {len(thresholds)} thresholds for every photo")
    total = add(photos)
    recall, precision = total.recall, total.precision
    ods_threshold, ods_recall, ods_precision = best_point(thresholds, recall, precision)
    best = add([photo.at(int(np.argmax(f_measure(photo.recall, photo.precision)))) for photo in photos])
    ois_recall, ois_precision = float(best.recall[0]), float(best.precision[0])
    return EdgeScores(
        ods=float(f_measure(ods_recall, ods_precision)),
        ods_threshold=ods_threshold,
        ods_recall=ods_recall,
        ods_precision=ods_precision,
        ois=float(f_measure(ois_recall, ois_precision)),
        ois_recall=ois_recall,
        ois_precision=ois_precision,
        average_precision=average_precision(recall, precision) if len(thresholds) > 1 else None,
        recall_at_half_precision=recall_at_precision(recall, precision, 0.5) if len(thresholds) > 1 else None,
        thresholds=tuple(thresholds),
        recall=tuple(recall.tolist()),
        precision=tuple(precision.tolist()),
    )


def f_measure(recall: Curve | float, precision: Curve | float) -> Curve:
    """Harmonic mean, 0 where both are 0."""
    recall, precision = np.asarray(recall, dtype=float), np.asarray(precision, dtype=float)
    total = recall + precision
    return 2 * recall * precision / np.where(total > 0, total, 1)


def best_point(thresholds: Sequence[float], recall: Curve, precision: Curve) -> tuple[float, float, float]:
    """(threshold, recall, precision) of the largest F on the curve, interpolated at 100 points between thresholds."""
    between = np.linspace(0, 1, 100)
    positions = np.unique(np.arange(len(recall) - 1)[:, None] + between) if len(recall) > 1 else np.zeros(1)
    curve = [np.interp(positions, np.arange(len(recall)), values) for values in (thresholds, recall, precision)]
    best = int(np.argmax(f_measure(curve[1], curve[2])))
    return float(curve[0][best]), float(curve[1][best]), float(curve[2][best])


def average_precision(recall: Curve, precision: Curve) -> float:
    """Sum of the precision at recalls 0, 0.01, ... 1, divided by 100 (though there are 101: so does the benchmark).

    Precision is interpolated linearly between the points of the curve and is 0 outside of it. Of several points with
    the same recall, the one with the lowest threshold counts.
    """
    points, first = np.unique(recall, return_index=True)
    if len(points) < 2:
        return 0.0
    return float(np.interp(np.arange(101) / 100, points, precision[first], left=0, right=0).sum() / 100)


def recall_at_precision(recall: Curve, precision: Curve, target: float) -> float | None:
    """Recall where precision is ``target``; at the lowest precision if all are above it, None if all are below."""
    points, first = np.unique(precision, return_index=True)
    if points[-1] < target:
        return None
    return float(np.interp(max(target, points[0]), points, recall[first]))


def _ratio(part: Sequence[int], whole: Sequence[int]) -> Curve:
    return np.asarray(part, dtype=float) / np.maximum(np.asarray(whole, dtype=float), 1)
