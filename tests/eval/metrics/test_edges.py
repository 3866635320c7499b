import numpy as np
import pytest

from repvit_sam.eval.metrics.edges import (
    THRESHOLDS,
    EdgeCounts,
    add,
    average_precision,
    best_point,
    f_measure,
    recall_at_precision,
    score,
)


def counts(recall, precision, truth=100, predicted=100):
    """Of a photo with these shares of true and of predicted pixels."""
    size = len(recall)
    found, right = (tuple(round(share * n) for share in part) for part, n in ((recall, truth), (precision, predicted)))
    return EdgeCounts(found, (truth,) * size, right, (predicted,) * size)


def test_there_are_99_thresholds():
    assert len(THRESHOLDS) == 99
    assert THRESHOLDS[0] == 0.01
    assert THRESHOLDS[-1] == 0.99
    assert THRESHOLDS[19] == 51 / 255  # so that 8-bit maps are cut where the value says


def test_counts_are_added_before_they_are_divided():
    small, large = EdgeCounts((1,), (10,), (2,), (2,)), EdgeCounts((90,), (90,), (9,), (98,))
    together = add([small, large])
    assert together == EdgeCounts((91,), (100,), (11,), (100,))
    assert together.recall.tolist() == [0.91]
    assert together.precision.tolist() == [0.11]


def test_nothing_predicted_and_nothing_true_count_as_0():
    nothing = EdgeCounts((0,), (0,), (0,), (0,))
    assert nothing.recall.tolist() == nothing.precision.tolist() == [0]
    assert score([nothing], (0.5,)).ods == 0


def test_f_is_the_harmonic_mean():
    assert f_measure(np.array([1, 0.5, 0]), np.array([1, 1, 0])).tolist() == pytest.approx([1, 2 / 3, 0])


def test_ods_takes_one_threshold_for_all_and_ois_one_for_each():
    # each photo is right at one threshold and half wrong at the other: 0.75 if the threshold is the same for both
    one = counts([1, 0.5], [1, 0.5])
    other = counts([0.5, 1], [0.5, 1])
    result = score([one, other], (0.3, 0.6))
    assert result.ods == pytest.approx(0.75)
    assert result.ois == 1
    assert (result.ois_recall, result.ois_precision) == (1, 1)
    assert score([one, one], (0.3, 0.6)).ods == score([one, one], (0.3, 0.6)).ois == 1


def test_ods_may_lie_between_two_thresholds():
    # F is 0.8 x 0.4 x 2 / 1.2 = 0.533 at both ends and 0.6 half-way, where recall and precision are both 0.6
    threshold, recall, precision = best_point((0.2, 0.4), np.array([0.8, 0.4]), np.array([0.4, 0.8]))
    assert threshold == pytest.approx(0.3, abs=0.002)
    assert recall == pytest.approx(0.6, abs=0.005)
    assert precision == pytest.approx(0.6, abs=0.005)
    result = score([counts([0.8, 0.4], [0.4, 0.8])], (0.2, 0.4))
    assert result.ods == pytest.approx(0.6, abs=1e-4)
    assert result.ois == pytest.approx(2 * 0.8 * 0.4 / 1.2)  # never in between


def test_of_several_best_thresholds_the_lowest_is_taken():
    assert best_point((0.1, 0.2, 0.3), np.full(3, 0.5), np.full(3, 0.5))[0] == 0.1


def test_average_precision_of_curves_known_on_paper():
    recall = np.array([1, 0])
    assert average_precision(recall, np.array([1, 1])) == pytest.approx(1.01)  # 101 values over 100, as the benchmark
    assert average_precision(recall, np.array([0, 1])) == pytest.approx(0.505)
    # from recall 0.2 to 0.6, 41 of the 101 values, precision 1 falling to 0.5: mean 0.75
    assert average_precision(np.array([0.6, 0.2]), np.array([0.5, 1])) == pytest.approx(41 * 0.75 / 100)
    assert average_precision(np.array([0.5, 0.5]), np.array([0.5, 1])) == 0  # a point, no curve


def test_of_two_points_with_one_recall_the_lower_threshold_counts():
    recall, precision = np.array([1, 0, 0]), np.array([0.5, 0.5, 0])
    assert average_precision(recall, precision) == pytest.approx(0.505)


def test_recall_at_half_precision():
    recall, precision = np.array([0.9, 0.7, 0.2]), np.array([0.4, 0.6, 0.9])
    assert recall_at_precision(recall, precision, 0.5) == pytest.approx(0.8)
    assert recall_at_precision(recall, precision + 0.2, 0.5) == pytest.approx(0.9)  # all of it is precise enough
    assert recall_at_precision(recall, precision - 0.5, 0.5) is None
    assert recall_at_precision(recall, np.array([0.1, 0.5, 0.5]), 0.5) == pytest.approx(0.7)


def test_a_point_has_no_area():
    result = score([counts([0.6], [0.8])], (0.5,))
    assert result.ods == result.ois == pytest.approx(2 * 0.6 * 0.8 / 1.4)
    assert result.figures["AP"] is None
    assert result.figures["R50"] is None
    assert result.ods_threshold == 0.5


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="no photos"):
        score([])
    with pytest.raises(ValueError, match="at 99 thresholds"):
        score([counts([0.5], [0.5])])
