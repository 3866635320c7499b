"""Classic edge detectors as baselines: soft edge maps for the boundary benchmark.

The value of a pixel is the square root of its gradient / ``STEEPEST``, at most 1. The square root spreads faint edges,
which are the most frequent, over more thresholds; it does not change the order of the values.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from repvit_sam.photo import Photo

from ..metrics.edge_thinning import suppress_non_maxima
from ..metrics.edges import THRESHOLDS

SoftEdges = NDArray[np.float32]  # (H, W), 0 no edge ... 1 strongest edge

STEEPEST = 64.0  # grey levels (of 255) per pixel
CANNY_SIGMA = 2.0  # pixels; this and the ratio are the defaults of the Berkeley benchmark's own Canny (pbCanny)
CANNY_RATIO = 1 / 3  # lower threshold of the hysteresis / upper one


def canny(photo: Photo, sigma: float = CANNY_SIGMA) -> SoftEdges:
    """OpenCV's Canny (PAMI 1986) at all thresholds of the benchmark: each pixel has the highest one that keeps it."""
    scale = 128  # OpenCV's Canny takes gradients as int16
    dx, dy = (np.round(gradient * scale).astype(np.int16) for gradient in _gradients(photo, sigma))
    edges = np.zeros(dx.shape, dtype=np.float32)
    for threshold in THRESHOLDS:
        strong = threshold**2 * STEEPEST * scale
        edges[cv2.Canny(dx, dy, CANNY_RATIO * strong, strong, L2gradient=True) > 0] = threshold
    return edges


def sobel(photo: Photo, sigma: float = 0.0) -> SoftEdges:
    """Sobel's 3 x 3 filter and the benchmark's non-maximum suppression; smoothed first only if ``sigma`` is not 0."""
    gradient = np.hypot(*_gradients(photo, sigma))
    return np.sqrt(np.clip(suppress_non_maxima(gradient) / STEEPEST, 0, 1))


DETECTORS: dict[str, Callable[[Photo], SoftEdges]] = {"canny": canny, "sobel": sobel}


def _gradients(photo: Photo, sigma: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(along x, along y) in grey levels per pixel, after a Gaussian of ``sigma`` pixels (0: none)."""
    grey = cv2.cvtColor(np.ascontiguousarray(photo), cv2.COLOR_RGB2GRAY)
    if sigma:
        grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), sigma)
    along_x, along_y = (cv2.Sobel(grey, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return np.asarray(along_x, dtype=np.float32), np.asarray(along_y, dtype=np.float32)
