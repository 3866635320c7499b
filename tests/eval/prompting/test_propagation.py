import numpy as np
import pytest

from repvit_sam.canvas import fit_photo
from repvit_sam.eval.metrics.iou import iou
from repvit_sam.eval.prompting.propagation import Propagation, grow, logits_of_mask, propagate, resolve_overlaps
from repvit_sam.masks import logits_to_photo

from ..discs import disc
from ..made_up_video import blob, frame


class FixedLogits:
    """A predictor that returns given logits for each frame and records the boxes that it was prompted with."""

    def __init__(self, *logits):
        self.logits, self.boxes = list(logits), []

    def set_image(self, photo):
        self.current = self.logits.pop(0)

    def predict(self, box, mask_input, multimask_output, return_logits, batched):
        assert mask_input is None
        assert return_logits
        assert batched
        assert not multimask_output
        self.boxes.append(box)
        return self.current[:, None], None, None


def logits(*masks):
    return np.where(masks, 5.0, -5.0).astype(np.float32)


def square(left, side=10):
    mask = np.zeros((40, 100), bool)
    mask[10 : 10 + side, left : left + side] = True
    return mask


def frames(count, height=40, width=100):
    return [np.zeros((height, width, 3), np.uint8)] * count


def follow(predictor, first, count, margin=0.0):
    return list(propagate(predictor, frames(count), np.array(first), Propagation("box", margin)))


def test_each_frame_is_prompted_with_the_box_of_the_previous_mask():
    predictor = FixedLogits(logits(square(20)), logits(square(25)), logits(square(30)))
    masks = follow(predictor, [square(15)], 3)
    np.testing.assert_array_equal(masks, [[square(20)], [square(25)], [square(30)]])
    np.testing.assert_array_equal(np.concatenate(predictor.boxes)[:, 0], [15, 20, 25])


def test_a_lost_object_keeps_its_last_box():
    predictor = FixedLogits(logits(square(20)), logits(square(0) & False), logits(square(22)), logits(square(24)))
    masks = follow(predictor, [square(15)], 4)
    assert not masks[1].any()
    np.testing.assert_array_equal(np.concatenate(predictor.boxes)[:, 0], [15, 20, 20, 22])


def test_objects_are_followed_side_by_side():
    predictor = FixedLogits(logits(square(20), square(60)), logits(square(25), square(55)))
    follow(predictor, [square(15), square(65)], 2)
    np.testing.assert_array_equal(predictor.boxes[1], [[20, 10, 30, 20], [60, 10, 70, 20]])


def test_an_overlap_goes_to_the_higher_logit():
    logits = np.array([[[3.0, 1.0, -1.0, -4.0]], [[2.0, 4.0, 0.5, -2.0]]], np.float32)
    np.testing.assert_array_equal(resolve_overlaps(logits), [[[1, 0, 0, 0]], [[0, 1, 1, 0]]])


def test_a_box_grows_by_a_share_of_its_sides_and_is_clipped_to_the_photo():
    assert grow((10, 20, 30, 60), 0.1, (100, 100)) == (8, 16, 32, 64)
    assert grow((0, 20, 99, 99), 0.1, (100, 100)) == (0, pytest.approx(12.1), 100, 100)


@pytest.mark.parametrize("photo_hw", [(229, 301), (480, 854), (90, 60)])
def test_a_given_mask_becomes_logits_that_give_the_mask(photo_hw):
    height, width = photo_hw
    mask = blob(height, width, width / 2, height / 2, height / 4, 0.3)
    fit = fit_photo(photo_hw)
    back = logits_to_photo(logits_of_mask(mask, fit)[None], fit)[0, 0] > 0
    assert iou(mask, back) > 0.98


@pytest.mark.parametrize("prompt", ["box", "box+mask"])
def test_two_cut_outs_are_followed_over_a_photograph(small_predictor, prompt):
    shown = [frame("rocket", ("coffee", "chelsea"), 120, 200, index * 0.04) for index in range(3)]
    first = np.array([shown[0][1] == 1, shown[0][1] == 2])
    followed = list(propagate(small_predictor, (photo for photo, _ in shown[1:]), first, Propagation(prompt)))
    for masks, (_, labels) in zip(followed, shown[1:], strict=True):
        assert [iou(labels == number, mask) > 0.8 for number, mask in enumerate(masks, 1)] == [True, True]
        assert not (masks[0] & masks[1]).any()


def test_an_unknown_prompt_and_a_margin_that_is_no_share_are_refused():
    with pytest.raises(ValueError, match="box, box\\+mask, got 'points'"):
        Propagation("points")
    with pytest.raises(ValueError, match="from 0 to 1, got 5"):
        Propagation(margin=5)


def test_the_logits_of_a_mask_are_8_inside_and_minus_8_outside():
    values = logits_of_mask(disc(1024, 1024, 512, 512, 300), fit_photo((1024, 1024)))
    assert values.shape == (1, 256, 256)
    assert (values[0, 128, 128], values[0, 0, 0]) == (8, -8)
