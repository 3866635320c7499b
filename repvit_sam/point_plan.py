"""Which points everything mode decodes, and in which order: coarse first, fine only where nothing was found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .canvas import LOGITS_STRIDE, CanvasFit


def grid_levels(points_per_side: int) -> list[NDArray[np.intp]]:
    """Indices into ``point_grid``: every fourth point along both sides, then every second, then all others.

    At least 8 x 8 points come first, so grids below 32 x 32 have fewer levels.
    """
    along = np.arange(points_per_side)
    first = 0 if points_per_side >= 32 else 1 if points_per_side >= 16 else 2
    level = np.maximum(np.where(along % 4 == 1, 0, np.where(along % 2 == 1, 1, 2)), first)  # of a row or column
    of_points = np.maximum(level[:, None], level[None]).ravel()
    levels = [np.flatnonzero(of_points == number) for number in range(3)]
    return [points for points in levels if len(points)]


class FoundArea:
    """Where in a photo masks were found so far, on the grid of low-resolution logits.

    Args:
        fit: the photo's place on the canvas.
    """

    def __init__(self, fit: CanvasFit) -> None:
        self._fit = fit
        side = fit.canvas_size // LOGITS_STRIDE
        self._found = np.zeros((side, side), dtype=np.bool_)

    def add(self, low_res_mask: NDArray[np.bool_]) -> None:
        """Add a mask (h, w) that starts at the top left."""
        height, width = low_res_mask.shape
        self._found[:height, :width] |= low_res_mask

    def holds(self, points_xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each of (N, 2) points, in pixels of the photo, lies in a mask."""
        cells = (self._fit.coords_to_canvas(points_xy) // LOGITS_STRIDE).astype(np.intp)
        columns, rows = np.minimum(cells, len(self._found) - 1).T
        return self._found[rows, columns]
