"""Metrics of a saliency map against the true mask: MAE, F-measure, S-measure.

They are computed here because pysodmetrics, the usual library, requires old versions of NumPy and OpenCV (1.6.2: NumPy
< 2.3.5, OpenCV < 5). The results were compared with it once, see ``s_measure``.

``saliency`` is (H, W) float from 0 to 1 throughout, ``truth`` is (H, W) bool. Maps are not stretched to 0..1, as some
toolkits do: probabilities are in that range already.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask

Map = NDArray[np.floating]

LEVELS = 255  # thresholds 1/255, 2/255 ... 1: the levels of an 8-bit map without 0, where every pixel is object
BETA_SQUARED = 0.3  # as in Achanta et al.: weighs precision more than recall

_ALPHA = 0.5  # weight of the object score; the region score has the rest
_TINY = float(np.finfo(np.float64).eps)


def mean_absolute_error(saliency: Map, truth: Mask) -> float:
    """Mean of |saliency - truth| over the pixels (Perazzi et al., Saliency Filters, CVPR 2012)."""
    return float(np.abs(saliency.astype(np.float64) - truth).mean())


def f_measures(saliency: Map, truth: Mask, beta_squared: float = BETA_SQUARED) -> NDArray[np.float64]:
    """(255,) F-measure of the pixels at or above k/255, for k = 1..255; 0 where none of them is object.

    Source: Achanta et al., Frequency-tuned Salient Region Detection, CVPR 2009. Thresholds as in pysodmetrics.
    """
    levels = np.floor(saliency.astype(np.float64) * LEVELS).astype(np.int64).clip(0, LEVELS)
    correct = _at_or_above(levels[truth])
    predicted = _at_or_above(levels)
    # (1 + b) P R / (b P + R) with P = correct / predicted and R = correct / object pixels
    return (1 + beta_squared) * correct / np.maximum(beta_squared * np.count_nonzero(truth) + predicted, _TINY)


def max_f_measure(curves: Sequence[Sequence[float]] | NDArray[np.float64]) -> float:
    """(N, 255) F-measures of N photos -> the mean over photos at the best threshold.

    This is the maximum of CODToolbox and pysodmetrics. Some papers take F of the mean precision and the mean recall,
    which differs a little.
    """
    return float(np.mean(curves, axis=0).max())


def s_measure(saliency: Map, truth: Mask) -> float:
    """Structure-measure with alpha 0.5: similarity of map and truth as objects and as regions, 0 to 1.

    Source: Fan et al., Structure-measure: A New Way to Evaluate Foreground Maps, ICCV 2017, equations 1 to 8. Where the
    paper is open, this follows its authors' code: standard deviations divide by N - 1, and if the truth is all object
    or has none, only the mean of the map counts. Equal to pysodmetrics 1.6.2 except if the centroid is halfway between
    two pixels: pysodmetrics (NumPy) rounds to the even one; this rounds up, like the authors' MATLAB code.
    """
    values = saliency.astype(np.float64)
    share = float(truth.mean())
    if share == 0:
        return 1 - float(values.mean())
    if share == 1:
        return float(values.mean())
    objects = share * _object_score(values[truth]) + (1 - share) * _object_score(1 - values[~truth])
    return max(0.0, _ALPHA * objects + (1 - _ALPHA) * _region_score(values, truth.astype(np.float64)))


def _at_or_above(levels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(255,) number of pixels at level 1 or more, 2 or more, ..."""
    counts = np.bincount(levels.ravel(), minlength=LEVELS + 1)
    return counts[::-1].cumsum()[::-1][1:]


def _object_score(values: NDArray[np.float64]) -> float:
    """How high and uniform the values are where they should be high."""
    mean = values.mean()
    spread = values.std(ddof=1) if values.size > 1 else 0.0
    return float(2 * mean / (mean**2 + 1 + spread + _TINY))


def _region_score(values: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Similarity of the four blocks around the centroid of the truth, weighted by their size."""
    rows, columns = np.nonzero(truth)
    # the upper left block includes the centroid's pixel; halves are rounded up, as in MATLAB
    y, x = int(rows.mean() + 1.5), int(columns.mean() + 1.5)
    blocks = [(slice(0, y), slice(0, x)), (slice(0, y), slice(x, None)), (slice(y, None), slice(0, x))]
    blocks.append((slice(y, None), slice(x, None)))
    return sum(truth[block].size / truth.size * _similarity(values[block], truth[block]) for block in blocks)


def _similarity(values: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Structural similarity (Wang et al.) of two blocks, without its constants (equation 4)."""
    if not truth.size:
        return 0.0
    mean, true_mean = values.mean(), truth.mean()
    count = max(truth.size - 1, 1)
    variance = ((values - mean) ** 2).sum() / count
    true_variance = ((truth - true_mean) ** 2).sum() / count
    covariance = ((values - mean) * (truth - true_mean)).sum() / count
    numerator = 4 * mean * true_mean * covariance
    denominator = (mean**2 + true_mean**2) * (variance + true_variance)
    if numerator == 0:
        return 1.0 if denominator == 0 else 0.0
    return float(numerator / (denominator + _TINY))
