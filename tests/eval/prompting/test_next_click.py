import numpy as np
import pytest

from repvit_sam.eval.prompting.next_click import next_click


def empty(*places):
    mask = np.zeros((40, 40), bool)
    for place in places:
        mask[place] = True
    return mask


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
