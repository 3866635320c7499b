import numpy as np
import pytest

from repvit_sam.eval.datasets.boxes import Boxes
from repvit_sam.eval.prompting.box_protocols import BOX_PROTOCOLS, find_protocol, masks_of_boxes

CUP, PLATE = [170, 12, 425, 282], [60, 180, 480, 390]


@pytest.fixture
def predictor(small_predictor, coffee):
    small_predictor.set_image(coffee)
    return small_predictor


def boxes(*rows, scores=None):
    count = len(rows)
    return Boxes(np.array(rows, float), np.array(scores or [1.0] * count), np.ones(count, int))


def prompted(predictor, given, name, **choices):
    return list(masks_of_boxes(predictor, given, find_protocol(name, **choices)))


def test_presets_have_the_options_of_their_papers():
    choices = {name: (one.masks, one.refinements, one.score) for name, one in BOX_PROTOCOLS.items()}
    assert choices == {
        "repvit-sam": ("single", 0, "detector"),
        "sam": ("single", 1, "detector"),
        "efficientvit": ("best-predicted", 0, "detector"),
        "tinysam": ("best-predicted", 0, "detector"),
        "edgesam": ("single", 0, "detector"),
        "efficientsam": ("best-box", 0, "detector"),
    }
    assert all(one.source for one in BOX_PROTOCOLS.values())


def test_a_changed_option_shows_in_the_name():
    assert find_protocol("tinysam", masks="single", refinements=None).name == "tinysam, changed"
    assert find_protocol("tinysam", masks="best-predicted") is BOX_PROTOCOLS["tinysam"]


@pytest.mark.parametrize(
    ("name", "choices", "words"),
    [
        ("coco", {}, "--protocol must be one of repvit-sam, sam, .*, got 'coco'"),
        ("sam", {"masks": "best"}, "--masks must be one of single, best-predicted, best-box, got 'best'"),
        ("sam", {"score": "mine"}, "--score must be one of detector, predicted-iou, product, got 'mine'"),
        ("sam", {"refinements": -1}, "--refinements must be 0 or more, got -1"),
    ],
)
def test_unknown_values_are_refused(name, choices, words):
    with pytest.raises(ValueError, match=words):
        find_protocol(name, **choices)


def test_a_single_mask_is_the_predictors(predictor):
    expected, _, _ = predictor.predict(box=CUP, multimask_output=False)
    (index, mask, score) = prompted(predictor, boxes(CUP, scores=[0.7]), "repvit-sam")[0]
    assert (index, score) == (0, 0.7)
    np.testing.assert_array_equal(mask, expected[0])


def test_the_best_of_three_is_by_predicted_iou(predictor):
    masks, ious, _ = predictor.predict(box=CUP)
    _, mask, _ = prompted(predictor, boxes(CUP), "efficientvit")[0]
    np.testing.assert_array_equal(mask, masks[ious.argmax()])


def test_a_refinement_is_prompted_with_the_box_and_the_logits(predictor):
    _, _, logits = predictor.predict(box=CUP, multimask_output=False)
    expected, _, _ = predictor.predict(box=CUP, mask_input=logits, multimask_output=False)
    _, mask, _ = prompted(predictor, boxes(CUP), "sam")[0]
    np.testing.assert_array_equal(mask, expected[0])


def test_the_second_look_is_taken_in_the_last_pass(predictor):
    handle = [380, 90, 430, 150]
    expected, _, logits = predictor.predict(box=handle, multimask_output=False, refine=True)
    _, mask, _ = prompted(predictor, boxes(handle), "repvit-sam", refine=True)[0]
    np.testing.assert_array_equal(mask, expected[0])
    _, _, logits = predictor.predict(box=handle, multimask_output=False)
    expected, _, _ = predictor.predict(box=handle, mask_input=logits, multimask_output=False, refine=True)
    _, mask, _ = prompted(predictor, boxes(handle), "sam", refine=True)[0]
    np.testing.assert_array_equal(mask, expected[0])


class ThreeMasks:
    """Returns the same three masks for every box: tight in the box, all of the photo, and none."""

    def predict(self, box, multimask_output, batched, refine):
        three = np.zeros((1, 3, 100, 100), bool)
        three[0, 1, 10:30, 20:60] = True
        three[0, 2] = True
        return three, np.array([[0.9, 0.1, 0.5]]), None


def test_the_mask_that_fits_the_box_best_may_not_have_the_best_predicted_iou():
    _, mask, _ = prompted(ThreeMasks(), boxes([20, 10, 60, 30]), "efficientsam")[0]
    assert mask.sum() == 20 * 40
    _, mask, _ = prompted(ThreeMasks(), boxes([0, 0, 100, 100]), "efficientsam")[0]
    assert mask.all()


@pytest.mark.parametrize(("rule", "expected"), [("detector", 0.5), ("predicted-iou", 0.9), ("product", 0.45)])
def test_a_mask_is_scored_by_the_chosen_rule(rule, expected):
    (_, _, score) = prompted(ThreeMasks(), boxes(PLATE, scores=[0.5]), "tinysam", score=rule)[0]
    assert score == pytest.approx(expected)


class FirstPixels:
    """Returns a mask with as many pixels as the left side of the box says, and records how many boxes come at once."""

    def __init__(self):
        self.batches = []

    def predict(self, box, multimask_output, batched, refine):
        self.batches.append(len(box))
        return np.arange(100).reshape(1, 1, 10, 10) < box[:, 0, None, None, None], np.ones((len(box), 1)), None


def test_many_boxes_are_predicted_in_batches_and_in_order():
    predictor = FirstPixels()
    found = prompted(predictor, boxes(*([number % 90, 0, 99, 99] for number in range(150))), "repvit-sam")
    assert [(index, mask.sum()) for index, mask, _ in found] == [(number, number % 90) for number in range(150)]
    assert predictor.batches == [64, 64, 22]
