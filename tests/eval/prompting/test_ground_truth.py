import numpy as np
import pytest

from repvit_sam.eval.prompting.ground_truth import box_of, centre_of, centroid_of, next_click


def empty(*places):
    mask = np.zeros((40, 40), bool)
    for place in places:
        mask[place] = True
    return mask


def test_box_and_centre_are_in_continuous_coordinates():
    mask = np.zeros((10, 20), bool)
    mask[2:5, 3:10] = True
    assert box_of(mask) == (3, 2, 10, 5)
    x, y = centre_of(mask)
    assert y == 3.5
    assert 4 < x < 9


def test_an_empty_mask_has_no_box():
    with pytest.raises(ValueError, match="got an empty mask"):
        box_of(np.zeros((10, 20), bool))


def test_the_centre_keeps_away_from_the_border_of_the_photo():
    assert centre_of(np.ones((9, 9), bool)) == (4.5, 4.5)


def test_the_centroid_is_the_middle_or_the_nearest_pixel_of_the_object():
    assert centroid_of(np.ones((9, 9), bool)) == (4.5, 4.5)
    frame = np.ones((9, 9), bool)
    frame[1:-1, 1:-1] = False  # its mean is in the hole
    x, y = centroid_of(frame)
    assert frame[int(y), int(x)]
    assert max(abs(x - 4.5), abs(y - 4.5)) == 4


def test_the_next_click_goes_into_the_deeper_error():
    truth, predicted = empty(np.s_[5:30, 5:30]), empty(np.s_[20:24, 20:40])
    point, label = next_click(truth, predicted)
    assert label == 1
    assert truth[int(point[1]), int(point[0])]
    assert next_click(truth, np.ones((40, 40), bool))[1] == 0
    assert next_click(truth, truth) is None


@pytest.mark.parametrize(("rule", "label"), [("deepest", 1), ("ritm", 0)])
def test_where_both_errors_are_as_deep_the_rules_differ(rule, label):
    truth, predicted = empty(np.s_[3:10, 3:10]), empty(np.s_[23:30, 23:30])
    assert next_click(truth, predicted, rule)[1] == label


def test_only_ritm_never_clicks_a_pixel_twice():
    truth, nothing = empty(np.s_[5:6, 5:7]), empty()
    first, _ = next_click(truth, nothing, "ritm")
    assert first == (5.5, 5.5)
    assert next_click(truth, nothing, "deepest", [first])[0] == first
    second, _ = next_click(truth, nothing, "ritm", [first])
    assert second == (6.5, 5.5)
    assert next_click(truth, nothing, "ritm", [first, second]) is None
