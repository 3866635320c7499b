"""Boundary pixels of one map paired with those of another: the correspondence behind precision and recall of edges.

A pixel may be paired with one pixel of the other map, at most ``max_distance`` x the photo's diagonal away. Among all
ways to pair, the one of least cost is taken: the sum of the distances, plus ``OUTLIER_COST`` x the largest distance for
each pixel left alone (Martin, Fowlkes, Malik, PAMI 2004, appendix B; ``correspondPixels`` of the Berkeley benchmark).
Leaving alone is so dear that as many pixels as possible are paired, the nearest first.

The library is SciPy's ``min_weight_full_bipartite_matching`` (LAPJVsp): the only sparse assignment that comes with a
package that reads ``.mat`` files anyway. It is exact where the Berkeley code draws its outlier edges by chance, and it
is called for each connected part of the graph by itself, which changes nothing but the time.

Why not any pairing of maximum size, which SciPy has too? The counts against each human would be the same, but not
*which* predicted pixels are paired, and precision counts those paired with any human.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from repvit_sam.masks import Mask

MAX_DISTANCE = 0.0075  # of the diagonal: 4.3 pixels in a photo of 481 x 321
OUTLIER_COST = 100.0  # of the largest distance

_CHUNK = 300  # pixels solved together: small parts share the cost of a call, large ones stay alone


@dataclass(frozen=True)
class Matching:
    """Who found a partner.

    Attributes:
        predicted: (N, H, W) bool, predicted pixels paired with the k-th truth.
        truth: (N, H, W) bool, pixels of the k-th truth that are paired.
    """

    predicted: NDArray[np.bool_]
    truth: NDArray[np.bool_]


class BoundaryMatcher:
    """The true boundaries of one photo, ready to be compared with many maps.

    Args:
        truths: N maps (H, W) bool, one a human.
        max_distance: of the diagonal.

    Raises:
        ValueError: no truths, or of several sizes.
    """

    def __init__(self, truths: Sequence[Mask], max_distance: float = MAX_DISTANCE) -> None:
        shapes = sorted({truth.shape for truth in truths})
        if len(shapes) != 1 or len(shapes[0]) != 2:
            raise ValueError(f"expected true boundary maps of one size (H, W), got {shapes or 'none'}")
        if max_distance <= 0:
            raise ValueError(f"max_distance must be above 0, got {max_distance}")
        self.truths = np.stack([np.asarray(truth, dtype=bool) for truth in truths])  # (N, H, W)
        height, width = self.photo_hw = shapes[0]
        self._radius = max_distance * float(np.hypot(height, width))
        self._margin = int(np.ceil(self._radius))
        dy, dx = np.mgrid[-self._margin : self._margin + 1, -self._margin : self._margin + 1]
        near = dx**2 + dy**2 <= self._radius**2
        self._distances = np.hypot(dx, dy)[near]  # (K,)
        self._pixels = np.argwhere(self.truths)  # (R, 3): human, y, x
        padded_width = width + 2 * self._margin
        places = (self._pixels[:, 1] + self._margin) * padded_width + self._pixels[:, 2] + self._margin
        self._reach = places[:, None] + (dy * padded_width + dx)[near]  # (R, K): places in the padded map, flat

    def match(self, predicted: Mask) -> Matching:
        """Pair one map (H, W) bool with each truth.

        Raises:
            ValueError: a map of another size.
        """
        if predicted.shape != self.photo_hw:
            raise ValueError(f"expected a map of (H, W) = {self.photo_hw} like its truths, got {predicted.shape}")
        ys, xs = np.nonzero(predicted)
        numbers = np.full(np.add(self.photo_hw, 2 * self._margin), -1, dtype=np.int32)
        numbers[ys + self._margin, xs + self._margin] = np.arange(len(ys))
        neighbours = numbers.ravel()[self._reach]  # (R, K)
        row, near = np.nonzero(neighbours >= 0)
        column = neighbours[row, near] + self._pixels[row, 0] * len(ys)  # each truth sees predicted pixels of its own
        found, partner = pair(row, column, self._distances[near], OUTLIER_COST * self._radius)
        matching = Matching(np.zeros_like(self.truths), np.zeros_like(self.truths))
        matching.truth[tuple(self._pixels[found].T)] = True
        human, number = np.divmod(partner, max(len(ys), 1))
        matching.predicted[human, ys[number], xs[number]] = True
        return matching


def match_boundaries(predicted: Mask, truth: Mask, max_distance: float = MAX_DISTANCE) -> tuple[Mask, Mask]:
    """(predicted pixels that are paired, true pixels that are paired), both (H, W) bool, of two maps (H, W) bool."""
    matching = BoundaryMatcher([truth], max_distance).match(predicted)
    return matching.predicted[0], matching.truth[0]


def pair(
    row: NDArray[np.integer], column: NDArray[np.integer], cost: NDArray[np.float64], outlier_cost: float
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """One-to-one pairs of least cost among the E edges ``row[e] - column[e]`` of a bipartite graph.

    A row left alone costs ``outlier_cost``. Returns the rows and the columns that are paired, in step.
    """
    rows, row = _numbered(row)
    columns, column = _numbered(column)
    if not len(rows):
        return rows, columns
    column = column + len(rows)  # rows and columns are nodes of one graph from here on
    nodes = len(rows) + len(columns)
    parts, part = connected_components(csr_matrix((cost, (row, column)), shape=(nodes, nodes)), directed=False)
    # who is left alone makes the solver search its whole part, so that the fewer of the two sides do the asking
    turned = np.bincount(part[: len(rows)]) > np.bincount(part[len(rows) :])
    asking = np.where(np.arange(nodes) < len(rows), ~turned[part], turned[part])
    asks, answers = (
        side[np.argsort(part[side], kind="stable")] for side in (np.nonzero(asking)[0], np.nonzero(~asking)[0])
    )
    place = np.empty(nodes, dtype=np.int32)
    place[asks], place[answers] = np.arange(len(asks)), np.arange(len(answers))
    asker, answerer = np.where(asking[row], (row, column), (column, row))
    graph = csr_matrix((cost, (place[asker], place[answerer])), shape=(len(asks), len(answers)))
    first_ask, first_answer = (np.searchsorted(part[side], np.arange(parts + 1)) for side in (asks, answers))
    chunk = np.cumsum(np.bincount(part)) // _CHUNK
    cuts = [0, *(np.nonzero(np.diff(chunk))[0] + 1), parts]
    found = []
    for begin, end in pairwise(cuts):
        a, b = slice(first_ask[begin], first_ask[end]), slice(first_answer[begin], first_answer[end])
        i, j = _assign(graph, a, b, outlier_cost)
        found.append(np.stack([asks[i], answers[j]]))
    pairs = np.sort(np.concatenate(found, axis=1), axis=0)  # the row is the smaller number of each pair
    return rows[pairs[0]], columns[pairs[1] - len(rows)]


def _numbered(names: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """(the names that occur, the number of each name among these): np.unique for small integers, without sorting."""
    occurs = np.bincount(names) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[names]


def _assign(
    graph: csr_matrix, a: slice, b: slice, outlier_cost: float
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Pairs of a block of the graph; each row has a column of its own beside the real ones that stands for nobody."""
    bounds = graph.indptr[a.start : a.stop + 1]
    edges = slice(bounds[0], bounds[-1])
    count, real = a.stop - a.start, b.stop - b.start
    ends = bounds[1:] - bounds[0]
    # the solver takes 0 for "no edge": one more for every edge changes no choice, as every row takes exactly one
    costs = np.insert(graph.data[edges] + 1, ends, outlier_cost + 1)
    places = np.insert(graph.indices[edges] - b.start, ends, real + np.arange(count))
    starts = bounds - bounds[0] + np.arange(count + 1)
    block = csr_matrix((costs, places.astype(np.int32), starts.astype(np.int32)), shape=(count, real + count))
    i, j = min_weight_full_bipartite_matching(block)
    paired = j < real
    return i[paired] + a.start, j[paired] + b.start
