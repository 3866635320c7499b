import numpy as np
import pytest

from repvit_sam.detections import Detections, xywh_to_xyxy
from repvit_sam.errors import PromptError


@pytest.fixture
def found():
    boxes = np.array([[10.0, 20, 30, 40], [-5, -5, 700, 7], [610, 10, 650, 20], [0, 0, 5, 5]])
    return Detections(boxes, ("cat", "cup", "cat", "dog"), np.array([0.5, 0.9, 0.9, 0.1]), np.array([1, 2, 1, 3]))


def test_the_best_come_first_and_equal_ones_in_their_order(found):
    best = found.best(3)
    assert best.labels == ("cup", "cat", "cat")
    np.testing.assert_array_equal(best.scores, [0.9, 0.9, 0.5])
    np.testing.assert_array_equal(best.boxes_xyxy, found.boxes_xyxy[[1, 2, 0]])
    np.testing.assert_array_equal(best.category_ids, [2, 1, 1])


def test_boxes_are_cut_at_the_photo_and_those_outside_dropped(found):
    within = found.within((400, 600))
    assert within.labels == ("cat", "cup", "dog")
    np.testing.assert_array_equal(within.boxes_xyxy, [[10, 20, 30, 40], [0, 0, 600, 7], [0, 0, 5, 5]])


def test_none_of_them_is_still_of_the_same_shape(found):
    none = found.take(found.scores > 1)
    assert len(none) == 0
    assert none.boxes_xyxy.shape == (0, 4)
    assert none.within((4, 4)).best(5).labels == ()


def test_unequal_numbers_are_refused(found):
    with pytest.raises(PromptError, match=r"1 labels need boxes_xyxy of shape \(1, 4\).*got \(4, 4\), \(4,\) and \(4,"):
        Detections(found.boxes_xyxy, ("cat",), found.scores, found.category_ids)


def test_corners_are_the_first_point_and_the_first_plus_the_size():
    np.testing.assert_array_equal(xywh_to_xyxy([[1, 2, 3, 4], [0, 0, 0.5, 9]]), [[1, 2, 4, 6], [0, 0, 0.5, 9]])
    assert xywh_to_xyxy([]).shape == (0, 4)
