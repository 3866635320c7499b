"""A map of how salient each pixel is, and the truth -> MAE, F-measure, S-measure.

Own code because pysodmetrics, the field's library, holds numpy and OpenCV back at older versions (pysodmetrics 1.6.2:
numpy < 2.3.5, OpenCV < 5); it was compared with it once, see `s_measure`.

``saliency`` is (H, W) float in 0..1 throughout, ``truth`` (H, W) bool. Nothing is stretched to 0..1 here, as some
toolkits do with each map: a probability is one already.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask

Map = NDArray[np.floating]

THRESHOLDS = 255  # 1/255, 2/255 ... 1: the levels of an 8-bit map, without 0, at which everything is object
BETA_SQUARED = 0.3  # Achanta et al.: precision counts for more

_ALPHA = 0.5  # weight of objects against regions
_TINY = float(np.finfo(np.float64).eps)


def mean_absolute_error(saliency: Map, truth: Mask) -> float:
    """Mean of |saliency - truth| over the pixels (Perazzi et al., Saliency Filters, CVPR 2012)."""
    return float(np.abs(saliency.astype(np.float64) - truth).mean())


def f_measures(saliency: Map, truth: Mask, beta_squared: float = BETA_SQUARED) -> NDArray[np.float64]:
    """(255,) F-measure of the pixels at or above k/255, for k = 1..255; 0 where no object pixel is found.

    Source: Achanta et al., Frequency-tuned Salient Region Detection, CVPR 2009. Levels as in pysodmetrics.
    """
    levels = np.floor(saliency.astype(np.float64) * THRESHOLDS).astype(np.int64).clip(0, THRESHOLDS)
    found = _at_or_above(levels[truth])
    claimed = _at_or_above(levels)
    # (1 + b) P R / (b P + R) with P = found / claimed and R = found / objects
    return (1 + beta_squared) * found / np.maximum(beta_squared * np.count_nonzero(truth) + claimed, _TINY)


def max_f_measure(curves: Sequence[Sequence[float]] | NDArray[np.float64]) -> float:
    """(N, 255) F-measures of N photos -> the best that one threshold gives as their mean.

    This is CODToolbox's and pysodmetrics' maximum. Some papers take F of the mean precision and the mean recall, which
    differs a little.
    """
    return float(np.mean(curves, axis=0).max())


def s_measure(saliency: Map, truth: Mask) -> float:
    """Structure-measure with alpha 0.5: how alike the two are as objects and as regions, 0..1.

    Source: Fan et al., Structure-measure: A New Way to Evaluate Foreground Maps, ICCV 2017, equations 1 to 8, with the
    choices of its authors' code where the paper leaves them open: standard deviations of samples (N - 1), and a truth
    without object, or without anything else, is compared by its mean. Equal to pysodmetrics 1.6.2 except where the
    centroid lies halfway between two pixels: NumPy, and so pysodmetrics, rounds that to the even one, MATLAB and we up.
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
    """(255,) how many pixels have level 1 or more, 2 or more, ..."""
    counts = np.bincount(levels.ravel(), minlength=THRESHOLDS + 1)
    return counts[::-1].cumsum()[::-1][1:]


def _object_score(values: NDArray[np.float64]) -> float:
    """How bright and even it is where it should be bright."""
    mean = values.mean()
    spread = values.std(ddof=1) if values.size > 1 else 0.0
    return float(2 * mean / (mean**2 + 1 + spread + _TINY))


def _region_score(values: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Likeness of the four blocks around the centroid of the truth, weighted by their size."""
    rows, columns = np.nonzero(truth)
    # the block includes the centroid's pixel; halves are rounded up, as MATLAB does
    y, x = int(rows.mean() + 1.5), int(columns.mean() + 1.5)
    blocks = [(slice(0, y), slice(0, x)), (slice(0, y), slice(x, None)), (slice(y, None), slice(0, x))]
    blocks.append((slice(y, None), slice(x, None)))
    return sum(truth[block].size / truth.size * _likeness(values[block], truth[block]) for block in blocks)


def _likeness(values: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Wang et al.'s structural similarity of two blocks, without its constants (equation 4)."""
    if not truth.size:
        return 0.0
    mean, true_mean = values.mean(), truth.mean()
    count = max(truth.size - 1, 1)
    spread = ((values - mean) ** 2).sum() / count
    true_spread = ((truth - true_mean) ** 2).sum() / count
    together = ((values - mean) * (truth - true_mean)).sum() / count
    above = 4 * mean * true_mean * together
    below = (mean**2 + true_mean**2) * (spread + true_spread)
    if above == 0:
        return 1.0 if below == 0 else 0.0
    return float(above / (below + _TINY))
