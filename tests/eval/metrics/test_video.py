import numpy as np
import pytest

from repvit_sam.eval.metrics.video import (
    Statistics,
    boundary,
    boundary_f_measure,
    region_similarity,
    statistics,
    summarise,
)

from ..discs import disc


def rectangle(height=100, width=100, top=40, left=40, side=10):
    mask = np.zeros((height, width), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_a_mask_agrees_with_itself_and_two_empty_ones_agree():
    empty = np.zeros((100, 100), bool)
    for mask in (rectangle(), disc(), empty, ~empty):
        assert region_similarity(mask, mask) == boundary_f_measure(mask, mask) == 1


def test_an_empty_answer_and_an_empty_truth_score_nothing():
    empty = np.zeros((100, 100), bool)
    for truth, answer in ((rectangle(), empty), (empty, rectangle())):
        assert region_similarity(truth, answer) == boundary_f_measure(truth, answer) == 0


def test_the_boundary_is_a_ring_of_one_pixel_from_the_pixel_before_the_object_to_its_last():
    edge = boundary(rectangle(6, 7, 2, 3, 2))
    drawn = ["......", "..###", "..#.#", "..###"]
    expected = [[sign == "#" for sign in row.ljust(7, ".")] for row in (*drawn, "", "")]
    np.testing.assert_array_equal(edge, expected)


def test_the_border_of_the_photo_is_no_boundary():
    mask = np.zeros((4, 5), bool)
    mask[:, :2] = True
    np.testing.assert_array_equal(boundary(mask), np.arange(5) == [[1]] * 4)
    assert not boundary(np.ones((4, 5), bool)).any()


@pytest.mark.parametrize(("shift", "f_measure"), [(1, 1), (2, 1), (3, 24 / 40), (40, 0)])
def test_boundaries_match_within_eight_thousandths_of_the_diagonal(shift, f_measure):
    # 1.13 pixels, rounded up to 2. The boundary is a ring of 40 pixels; of one moved by 3, the upper and the lower side
    # keep 10 each, and the inner one the 2 at either end
    assert boundary_f_measure(rectangle(), rectangle(left=40 + shift)) == pytest.approx(f_measure)


def _share_near(truth, moved, pixels):
    """F by the definition: every pair of boundary pixels looked at."""
    ours, theirs = np.argwhere(boundary(truth)), np.argwhere(boundary(moved))
    apart = np.hypot(*(ours[:, None] - theirs[None]).transpose(2, 0, 1)) <= pixels
    precision, recall = apart.any(0).mean(), apart.any(1).mean()
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("seed", range(5))
def test_the_f_measure_is_what_looking_at_every_pair_of_boundary_pixels_gives(seed):
    chance = np.random.default_rng(seed)
    x, y, radius = chance.uniform(30, 60, 3)
    truth, answer = disc(120, 200, 100, 60, 45), disc(120, 200, 70 + x, y, radius)
    assert boundary_f_measure(truth, answer) == pytest.approx(_share_near(truth, answer, 2))
    assert boundary_f_measure(truth, answer, 0.03) == pytest.approx(_share_near(truth, answer, 7))


def test_recall_counts_frames_above_a_half_and_decay_compares_the_outer_quarters():
    # nine frames: quarters of frames 1-3, 3-5, 5-7, 7-9, each sharing one with its neighbour
    assert statistics([1, 1, 1, 0.5, 0.5, 0.5, 0.4, 0.2, 0]) == Statistics(
        pytest.approx(5.1 / 9), pytest.approx(3 / 9), pytest.approx(1 - 0.2)
    )
    assert statistics([0.7]) == Statistics(0.7, 1, 0)


def test_every_object_counts_once():
    first, second = Statistics(1, 1, 0), Statistics(0.2, 0.5, 0.4)
    row = summarise([(first, second), (second, second)])
    expected = [0.4, 0.6, 0.75, 0.2, 0.2, 0.5, 0.4]
    assert list(row) == ["J&F", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay"]
    assert list(row.values()) == pytest.approx(expected)
