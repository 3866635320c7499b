import itertools

import numpy as np
import pytest

from repvit_sam.eval.metrics.boundary_matching import BoundaryMatcher, match_boundaries, match_graph

SIDE = 100  # diagonal 141.4: a tolerance of 0.031 is 4.38 pixels
TOLERANCE = 0.031


def dots(*places, side=SIDE):
    mask = np.zeros((side, side), bool)
    for y, x in places:
        mask[y, x] = True
    return mask


def column(x, rows=range(10, 60)):
    return dots(*((y, x) for y in rows))


def counts(predicted, truth, tolerance=TOLERANCE):
    predicted, truth = match_boundaries(predicted, truth, tolerance)
    return int(predicted.sum()), int(truth.sum())


@pytest.mark.parametrize(("shift", "matched"), [(0, 50), (1, 50), (4, 50), (5, 0), (-4, 50), (-5, 0)])
def test_a_shifted_line_matches_up_to_the_tolerance(shift, matched):
    assert counts(column(40 + shift), column(40)) == (matched, matched)


@pytest.mark.parametrize(("dy", "dx", "matched"), [(3, 3, 1), (4, 1, 1), (4, 2, 0), (0, 4, 1), (0, 5, 0)])
def test_the_tolerance_is_a_disc(dy, dx, matched):
    # lengths 4.24, 4.12, 4.47, 4, 5
    assert counts(dots((50 + dy, 50 - dx)), dots((50, 50))) == (matched, matched)


def test_a_pixel_has_one_partner():
    assert counts(dots((50, 49), (50, 51), (49, 50)), dots((50, 50))) == (1, 1)
    assert counts(dots((50, 50)), dots((50, 49), (50, 51), (49, 50))) == (1, 1)
    # a line twice: 50 true pixels for 100 predicted ones
    assert counts(column(39) | column(41), column(40)) == (50, 50)


def test_outliers_stay_alone():
    predicted = column(40) | dots((90, 90), (95, 5))
    found, _ = match_boundaries(predicted, column(41), TOLERANCE)
    assert np.array_equal(found, column(40))


def test_as_many_as_possible_match_even_if_that_is_farther():
    # the predicted pixel in the middle is nearest to the left one, but only then two pairs come about if it goes right
    predicted, truth = dots((50, 46), (50, 50)), dots((50, 49), (50, 53))
    assert counts(predicted, truth) == (2, 2)


def test_among_equally_many_the_nearest_match():
    found, _ = match_boundaries(dots((50, 48), (50, 51), (50, 54)), dots((50, 50)), TOLERANCE)
    assert np.array_equal(found, dots((50, 51)))


def test_each_truth_is_matched_for_itself():
    matching = BoundaryMatcher([column(38), column(42), column(70)], TOLERANCE).match(column(40))
    assert matching.truth.sum(axis=(1, 2)).tolist() == [50, 50, 0]
    assert matching.predicted.sum(axis=(1, 2)).tolist() == [50, 50, 0]
    assert np.array_equal(matching.predicted[0], column(40))


def test_empty_maps_match_nothing():
    nothing = dots()
    assert counts(nothing, column(40)) == (0, 0)
    assert counts(column(40), nothing) == (0, 0)
    assert counts(nothing, nothing) == (0, 0)


def test_nothing_matches_across_the_photos_border():
    assert counts(dots((50, 0)), dots((50, 99), (49, 99))) == (0, 0)
    assert counts(dots((0, 50)), dots((99, 50))) == (0, 0)
    assert counts(dots((0, 0), (99, 99)), dots((2, 2), (97, 97))) == (2, 2)


def least_cost(row, column, cost, outlier_cost):
    """By trying every set of edges: (cost, how many pairs)."""
    best = (len(set(row)) * outlier_cost, 0)
    for size in range(1, len(row) + 1):
        for edges in itertools.combinations(range(len(row)), size):
            if len({row[e] for e in edges}) == len({column[e] for e in edges}) == size:
                total = sum(cost[e] for e in edges) + (len(set(row)) - size) * outlier_cost
                best = min(best, (total, size))
    return best


@pytest.mark.parametrize("seed", range(40))
def test_pairs_of_small_graphs_cost_the_least_there_is(seed):
    chance = np.random.default_rng(seed)
    edges = np.unique(chance.integers(0, 6, (9, 2)) * (1, 3), axis=0)  # names of columns with gaps
    row, column, cost = edges[:, 0], edges[:, 1], chance.random(len(edges))
    a, b = match_graph(row, column, cost, 100.0)
    assert len(set(a.tolist())) == len(set(b.tolist())) == len(a)
    price = {(i, j): c for i, j, c in zip(row.tolist(), column.tolist(), cost, strict=True)}
    total = sum(price[i, j] for i, j in zip(a.tolist(), b.tolist(), strict=True))  # a KeyError is no edge
    expected, size = least_cost(row.tolist(), column.tolist(), cost.tolist(), 100.0)
    assert len(a) == size
    assert total + (len(set(row.tolist())) - size) * 100 == pytest.approx(expected)


def test_swapping_the_maps_changes_no_count():
    chance = np.random.default_rng(1)
    one, other = chance.random((2, 60, 90)) < 0.1
    assert counts(one, other) == counts(other, one)[::-1]


def test_many_parts_in_one_call_are_as_each_by_itself():
    chance = np.random.default_rng(2)
    one, other = chance.random((2, 40, 40)) < 0.15
    together = np.zeros((2, 400, 400), bool)
    for y, x in itertools.product(range(0, 400, 50), repeat=2):  # 10 pixels apart: nothing reaches across
        together[:, y : y + 40, x : x + 40] = one, other
    far = 3 / np.hypot(400, 400)
    assert counts(*together, far) == tuple(64 * n for n in counts(one, other, 3 / np.hypot(40, 40)))


def test_what_cannot_be_matched_is_refused():
    with pytest.raises(ValueError, match="one size"):
        BoundaryMatcher([])
    with pytest.raises(ValueError, match="one size"):
        BoundaryMatcher([np.zeros((5, 5), bool), np.zeros((5, 6), bool)])
    with pytest.raises(ValueError, match="above 0"):
        BoundaryMatcher([np.zeros((5, 5), bool)], 0)
    with pytest.raises(ValueError, match=r"\(5, 5\) like its truths, got \(4, 5\)"):
        BoundaryMatcher([np.zeros((5, 5), bool)]).match(np.zeros((4, 5), bool))
