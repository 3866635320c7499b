import numpy as np
import pytest

from repvit_sam.eval.metrics.saliency import f_measures, max_f_measure, mean_absolute_error, s_measure


def row(*values):
    return np.array([values], dtype=float)


def disc(height=61, width=80, x=40, y=30, radius=20):
    rows, columns = np.mgrid[0:height, 0:width]
    return np.hypot(columns - x, rows - y) < radius


def test_mae_is_the_mean_distance_to_the_truth():
    assert mean_absolute_error(row(1, 0.5, 0.25, 0), row(1, 1, 0, 0) > 0) == pytest.approx((0.5 + 0.25) / 4)


def test_f_measure_is_the_one_computed_on_paper():
    """Up to level 127 of 255 both halves are claimed: P = 2/3, R = 1, F = 1.3 * 2/3 / (0.3 * 2/3 + 1) = 0.7222.
    From 128 on only the sure pixel: P = 1, R = 1/2, F = 1.3 / 2 / (0.3 + 1/2) = 0.8125."""
    curve = f_measures(row(1, 0.5, 0.5, 0), row(1, 1, 0, 0) > 0)
    assert curve.shape == (255,)
    assert curve[:127] == pytest.approx(np.full(127, 1.3 * 2 / 3 / 1.2))
    assert curve[127:] == pytest.approx(np.full(128, 0.8125))


def test_the_threshold_of_max_f_measure_is_the_same_for_all_photos():
    truth = row(1, 1, 0, 0) > 0
    early, late = f_measures(row(0.2, 0.2, 0, 0), truth), f_measures(row(1, 1, 0.9, 0.9), truth)
    assert early.max() == late.max() == pytest.approx(1)
    assert max_f_measure([early, late]) < 0.9


def test_a_map_that_finds_nothing_has_f_measure_0():
    assert not f_measures(np.zeros((5, 5)), np.eye(5) > 0).any()


def test_the_truth_itself_has_structure_measure_1_and_its_inverse_0():
    assert s_measure(disc().astype(float), disc()) == pytest.approx(1, abs=1e-9)
    assert s_measure((~disc()).astype(float), disc()) == 0


@pytest.mark.parametrize(
    ("saliency", "truth", "score"),
    [
        # Objects: O_FG = 2 * 0.5 / (0.25 + 1) = 0.8, O_BG = 1, so 0.9. Regions: nothing varies, so 1.
        (np.repeat([[0.5, 0.5, 0, 0]], 2, axis=0), np.repeat([[1, 1, 0, 0]], 2, axis=0), 0.95),
        # Objects: O_FG = 1; the background is 0.5, 1, 1: mean 5/6, deviation sqrt(1/12), so O_BG = 5/3 / (25/36 + 1 +
        # sqrt(1/12)). Regions: the first pixel alone is right, 1; in the other three the truth does not vary, 0.
        (row(1, 0.5, 0, 0), row(1, 0, 0, 0), (0.25 + 0.75 * (5 / 3) / (61 / 36 + 12**-0.5) + 0.25) / 2),
        # Regions: the centroid 5/3 cuts after the third pixel. There means are 1/3 and 2/3, variances 1/3, covariance
        # 1/6: 4 * 2/9 * 1/6 / (5/9 * 2/3) = 0.4; the last two are right, 1. Objects: O_FG with mean 2/3 and deviation
        # sqrt(1/3), O_BG = 1.
        (row(1, 0, 0, 0, 1), row(1, 1, 0, 0, 1), (0.6 * (4 / 3) / (13 / 9 + 3**-0.5) + 0.4 + 0.6 * 0.4 + 0.4) / 2),
    ],
)  # fmt: skip
def test_structure_measure_is_the_one_computed_on_paper(saliency, truth, score):
    assert s_measure(np.asarray(saliency, dtype=float), np.asarray(truth) > 0) == pytest.approx(score, abs=1e-9)


def test_structure_measure_falls_with_the_size_of_the_error():
    scores = [s_measure(disc(radius=radius).astype(float), disc()) for radius in (20, 18, 14, 8)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.7


@pytest.mark.parametrize("corner", [(0, 0), (8, 11)])
def test_an_object_in_the_last_corner_leaves_blocks_without_a_pixel(corner):
    truth = np.zeros((9, 12), bool)
    truth[corner] = True
    assert s_measure(truth.astype(float), truth) == pytest.approx(1)


def test_a_truth_without_contrast_is_compared_by_its_mean():
    quarter = np.full((4, 4), 0.25)
    assert s_measure(quarter, np.zeros((4, 4), bool)) == pytest.approx(0.75)
    assert s_measure(quarter, np.ones((4, 4), bool)) == pytest.approx(0.25)
