"""One-to-one matching of the boundary pixels of two maps, the basis of precision and recall of edges.

A pixel can be matched with one pixel of the other map, at most ``max_distance`` x the photo's diagonal away. The
matching has the least cost: the sum of the distances, plus ``OUTLIER_COST`` x the largest allowed distance for each
pixel that stays unmatched (Martin, Fowlkes, Malik, PAMI 2004, appendix B; ``correspondPixels`` of the Berkeley
benchmark). That cost is so high that as many pixels as possible are matched.

It is computed by SciPy's ``min_weight_full_bipartite_matching`` (LAPJVsp), a sparse assignment in a package that is
needed to read ``.mat`` files anyway. It is exact, while the Berkeley code draws random outlier edges. It is called for
a few connected components of the graph at a time, which changes only the time it takes.

SciPy's maximum bipartite matching, without costs, would give the same counts against each annotator, but not the same
*set* of matched predicted pixels, and precision counts those matched with any annotator.
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
OUTLIER_COST = 100.0  # x the largest allowed distance

_CHUNK = 300  # pixels solved in one call: small components share its overhead, large ones have their own


@dataclass(frozen=True)
class Matching:
    """The matched pixels of one predicted map and N truths.

    Attributes:
        predicted: (N, H, W) bool, predicted pixels matched with the k-th truth.
        truth: (N, H, W) bool, pixels of the k-th truth that are matched.
    """

    predicted: NDArray[np.bool_]
    truth: NDArray[np.bool_]


class BoundaryMatcher:
    """Matches predicted maps with the true boundaries of one photo, which are prepared once.

    Args:
        truths: N maps (H, W) bool, one for each annotator.
        max_distance: largest distance of two matched pixels, as a share of the diagonal.

    Raises:
        ValueError: no truths, truths of different sizes, or a distance of 0 or less.
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
        self._pixels = np.argwhere(self.truths)  # (R, 3): annotator, y, x
        padded_width = width + 2 * self._margin
        positions = (self._pixels[:, 1] + self._margin) * padded_width + self._pixels[:, 2] + self._margin
        self._reach = positions[:, None] + (dy * padded_width + dx)[near]  # (R, K): flat indices of the padded map

    def match(self, predicted: Mask) -> Matching:
        """Match one map (H, W) bool with each truth.

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
        column = neighbours[row, near] + self._pixels[row, 0] * len(ys)  # every truth has its own copy of them
        matched, partner = match_graph(row, column, self._distances[near], OUTLIER_COST * self._radius)
        matching = Matching(np.zeros_like(self.truths), np.zeros_like(self.truths))
        matching.truth[tuple(self._pixels[matched].T)] = True
        annotator, number = np.divmod(partner, max(len(ys), 1))
        matching.predicted[annotator, ys[number], xs[number]] = True
        return matching


def match_boundaries(predicted: Mask, truth: Mask, max_distance: float = MAX_DISTANCE) -> tuple[Mask, Mask]:
    """Two maps (H, W) bool -> (predicted pixels that are matched, true pixels that are matched), both (H, W) bool."""
    matching = BoundaryMatcher([truth], max_distance).match(predicted)
    return matching.predicted[0], matching.truth[0]


def match_graph(
    row: NDArray[np.integer], column: NDArray[np.integer], cost: NDArray[np.float64], outlier_cost: float
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """One-to-one matching of least cost among the E edges ``row[e] - column[e]`` of a bipartite graph.

    An unmatched row costs ``outlier_cost``. Returns the matched rows and, in the same order, their columns.
    """
    rows, row = _compact(row)
    columns, column = _compact(column)
    if not len(rows):
        return rows, columns
    column = column + len(rows)  # rows and columns are nodes of one graph from here on
    nodes = len(rows) + len(columns)
    _, component = connected_components(csr_matrix((cost, (row, column)), (nodes, nodes)), directed=False)
    # an unmatched source makes the solver search its whole component: sources are the smaller side of each component
    swapped = np.bincount(component[: len(rows)]) > np.bincount(component[len(rows) :])
    is_source = np.where(np.arange(nodes) < len(rows), ~swapped[component], swapped[component])
    source, target = np.where(is_source[row], (row, column), (column, row))
    matched = _match_components(source, target, cost, is_source, component, outlier_cost)
    pairs = np.sort(matched, axis=0)  # the row is the smaller node of each pair
    return rows[pairs[0]], columns[pairs[1] - len(rows)]


def _match_components(
    source: NDArray[np.integer],
    target: NDArray[np.integer],
    cost: NDArray[np.float64],
    is_source: NDArray[np.bool_],
    component: NDArray[np.integer],
    outlier_cost: float,
) -> NDArray[np.integer]:
    """(2, P) matched sources and targets among the edges ``source[e] - target[e]``, solved chunk by chunk.

    ``is_source`` and ``component`` have a value for each node.
    """
    sources, targets = (
        side[np.argsort(component[side], kind="stable")]
        for side in (np.nonzero(is_source)[0], np.nonzero(~is_source)[0])
    )
    index = np.empty(len(component), dtype=np.int32)
    index[sources], index[targets] = np.arange(len(sources)), np.arange(len(targets))
    graph = csr_matrix((cost, (index[source], index[target])), shape=(len(sources), len(targets)))
    chunk = np.cumsum(np.bincount(component)) // _CHUNK  # of each component
    bounds = [0, *(np.nonzero(np.diff(chunk))[0] + 1), len(chunk)]  # first component of each chunk, and the end
    source_bounds, target_bounds = (np.searchsorted(component[side], bounds) for side in (sources, targets))
    matched = []
    for a, b in zip(pairwise(source_bounds), pairwise(target_bounds), strict=True):
        i, j = _assign(graph, slice(*a), slice(*b), outlier_cost)
        matched.append(np.stack([sources[i], targets[j]]))
    return np.concatenate(matched, axis=1)


def _compact(values: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """(distinct values, index of each value among them): np.unique for small integers, without sorting."""
    occurs = np.bincount(values) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[values]


def _assign(
    graph: csr_matrix, a: slice, b: slice, outlier_cost: float
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Matched pairs of one block of the graph. Each source gets one more target of its own, meaning "unmatched"."""
    bounds = graph.indptr[a.start : a.stop + 1]
    edges = slice(bounds[0], bounds[-1])
    count, real = a.stop - a.start, b.stop - b.start
    ends = bounds[1:] - bounds[0]
    # the solver takes 0 for "no edge", so all costs are raised by 1; every row takes one edge, so no choice changes
    costs = np.insert(graph.data[edges] + 1, ends, outlier_cost + 1)
    targets = np.insert(graph.indices[edges] - b.start, ends, real + np.arange(count))
    starts = bounds - bounds[0] + np.arange(count + 1)
    block = csr_matrix((costs, targets.astype(np.int32), starts.astype(np.int32)), shape=(count, real + count))
    i, j = min_weight_full_bipartite_matching(block)
    matched = j < real
    return i[matched] + a.start, j[matched] + b.start
