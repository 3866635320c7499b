"""Which points of a grid fast everything mode decodes: some spread evenly, then those that look least like these.

A second point on the same wall finds the same wall, or as little as the first did. What a place looks like is the image
embedding there, so the next point is the one whose embedding is least similar to that of any point tried, wherever it
lies (farthest-point sampling); places where a mask was found come a little later. docs/evaluation.md has what it finds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .canvas import LOGITS_STRIDE, CanvasFit

_FIRST_PER_SIDE = 8
_SHARE = 4  # one point of so many is decoded, but no fewer than the first ones
_AT_ONCE = 32
_FOUND_BEFORE = 0.05  # added to the cosine similarity of points in masks that were found


def points_in_plan(side: int) -> int:
    """How many points of a grid of side^2 are decoded."""
    return min(side**2, max(_FIRST_PER_SIDE**2, -(-(side**2) // _SHARE)))


class PointPlan:
    """The points of one grid, in steps.

    Args:
        side: of the grid; it has side^2 points, row by row.
        embedding_at_points: (side^2, C) the image embedding where each point lies.
    """

    def __init__(self, side: int, embedding_at_points: NDArray[np.float32]) -> None:
        self._to_come = points_in_plan(side)
        lengths = np.linalg.norm(embedding_at_points, axis=1, keepdims=True)
        self._looks = embedding_at_points / np.maximum(lengths, 1e-12)
        self._similarity = np.full(side**2, -1.0, dtype=np.float32)  # to the most similar point that was tried
        self._left = np.ones(side**2, dtype=np.bool_)
        self._first = _spread(side)

    def next(self, at_most: int, found: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Indices of the next points, none at the end.

        Args:
            found: for each point of the grid whether it lies in a mask that was found so far.
        """
        if len(self._first):
            points, self._first = self._first[:at_most], self._first[at_most:]
            self._try(points)
            return points
        chosen: list[int] = []
        for _ in range(min(at_most, _AT_ONCE, self._to_come)):
            order = np.where(self._left, self._similarity + _FOUND_BEFORE * found, np.inf)
            chosen.append(int(order.argmin()))
            self._try(np.array(chosen[-1:]))
        return np.array(chosen, dtype=np.intp)

    def _try(self, points: NDArray[np.intp]) -> None:
        self._left[points] = False
        self._to_come -= len(points)
        self._similarity = np.maximum(self._similarity, (self._looks @ self._looks[points].T).max(1))


def _spread(side: int) -> NDArray[np.intp]:
    """8 x 8 points of a grid, or all of a smaller one, as evenly as it allows."""
    count = min(side, _FIRST_PER_SIDE)
    along = ((np.arange(count) + 0.5) * side / count).astype(np.intp)
    return (along[:, None] * side + along).ravel()


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
