import numpy as np
import pytest

from repvit_sam.eval.metrics.edge_counts import count_edges, count_human
from repvit_sam.eval.metrics.edges import EdgeCounts

from ..lines import TOLERANCE, column


def test_counts_of_a_map_of_two_lines():
    # strong where two people drew, weaker (0.4) where nobody did; the second person's other line is missed
    edges = column(20, 0.8) + column(40, 0.4)
    counts = count_edges(edges, [column(21), column(18) | column(60)], (0.3, 0.5, 0.9), TOLERANCE)
    assert counts == EdgeCounts(
        matched_truth=(80, 80, 0), truth=(120, 120, 120), matched_predicted=(40, 40, 0), predicted=(80, 40, 0)
    )


def test_a_threshold_is_reached_by_its_own_value():
    assert count_edges(column(20, 0.5), [column(20)], (0.49, 0.5, 0.51), TOLERANCE).predicted == (40, 40, 0)
    exact = column(20, 0.29).astype(np.float32)  # below the double 0.29
    assert count_edges(exact, [column(20)], (0.28, 0.29, 0.3), TOLERANCE).predicted == (40, 40, 0)


def test_thick_edges_are_thinned_before_they_are_counted():
    thick = column(19, 1.0) + column(20, 1.0) + column(21, 1.0)
    counts = count_edges(thick, [column(20)], (0.5,), TOLERANCE)
    assert counts.predicted[0] <= 40
    assert counts.precision[0] == 1


def test_a_predicted_pixel_is_right_if_anybody_drew_it():
    # each person's line is matched in full, but the 40 predicted pixels of either half count once
    top, bottom = slice(10, 30), slice(30, 50)
    counts = count_edges(column(20, 1.0), [column(20, rows=top), column(20, rows=bottom)], (0.5,), TOLERANCE)
    assert counts == EdgeCounts((40,), (40,), (40,), (40,))


def test_people_who_agree_half_way():
    # 0: both lines; 1: the first; 2: the first
    both, first = column(20) | column(60), column(20)
    counts = count_human([both, first, first], TOLERANCE)
    # 0 finds 40 + 40 of 80 and is right with 40 of 80; 1 and 2 find 40 + 40 of 120 and are right with 40 of 40, each
    assert counts == EdgeCounts((80 + 80 + 80,), (80 + 120 + 120,), (40 + 40 + 40,), (80 + 40 + 40,))
    with pytest.raises(ValueError, match="2 or more, got 1"):
        count_human([both])
