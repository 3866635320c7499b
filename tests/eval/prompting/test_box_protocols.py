import numpy as np
import pytest

from repvit_sam.eval.datasets.boxes import Boxes
from repvit_sam.eval.prompting.box_protocols import BOX_PROTOCOLS, find_protocol, masks_of_boxes

CUP, PLATE = [170, 12, 425, 282], [60, 180, 480, 390]


def boxes(*rows, scores=None):
    count = len(rows)
    return Boxes(np.array(rows, float), np.array(scores or [1.0] * count), np.ones(count, int))


def answers(predictor, given, name, **choices):
    return list(masks_of_boxes(predictor, given, find_protocol(name, **choices)))


def test_presets_differ_in_what_their_papers_say():
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


def test_a_changed_choice_shows_in_the_name():
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
def test_what_is_no_protocol_is_refused(name, choices, words):
    with pytest.raises(ValueError, match=words):
        find_protocol(name, **choices)


def test_a_single_mask_is_the_predictors(predictor):
    expected, _, _ = predictor.predict(box=CUP, multimask_output=False)
    (index, mask, score) = answers(predictor, boxes(CUP, scores=[0.7]), "repvit-sam")[0]
    assert (index, score) == (0, 0.7)
    np.testing.assert_array_equal(mask, expected[0])


def test_the_best_of_three_is_by_predicted_iou(predictor):
    masks, ious, _ = predictor.predict(box=CUP)
    _, mask, _ = answers(predictor, boxes(CUP), "efficientvit")[0]
    np.testing.assert_array_equal(mask, masks[ious.argmax()])


def test_a_refinement_gives_box_and_logits_once_more(predictor):
    _, _, logits = predictor.predict(box=CUP, multimask_output=False)
    expected, _, _ = predictor.predict(box=CUP, mask_input=logits, multimask_output=False)
    _, mask, _ = answers(predictor, boxes(CUP), "sam")[0]
    np.testing.assert_array_equal(mask, expected[0])


class ThreeMasks:
    """Answers every box with the same three masks: tight in the box, all of the photo, and none."""

    def predict(self, box, multimask_output, batched):
        three = np.zeros((1, 3, 100, 100), bool)
        three[0, 1, 10:30, 20:60] = True
        three[0, 2] = True
        return three, np.array([[0.9, 0.1, 0.5]]), None


def test_the_mask_that_fits_the_box_may_be_another_than_the_model_thinks_best():
    _, mask, _ = answers(ThreeMasks(), boxes([20, 10, 60, 30]), "efficientsam")[0]
    assert mask.sum() == 20 * 40
    _, mask, _ = answers(ThreeMasks(), boxes([0, 0, 100, 100]), "efficientsam")[0]
    assert mask.all()


@pytest.mark.parametrize(("rule", "expected"), [("detector", 0.5), ("predicted-iou", 0.9), ("product", 0.45)])
def test_a_mask_is_ranked_by_the_rule_asked_for(rule, expected):
    (_, _, score) = answers(ThreeMasks(), boxes(PLATE, scores=[0.5]), "tinysam", score=rule)[0]
    assert score == pytest.approx(expected)


class FirstPixels:
    """Answers a box with a mask of as many pixels as its left side says; notes how many boxes come at once."""

    def __init__(self):
        self.batches = []

    def predict(self, box, multimask_output, batched):
        self.batches.append(len(box))
        return np.arange(100).reshape(1, 1, 10, 10) < box[:, 0, None, None, None], np.ones((len(box), 1)), None


def test_many_boxes_are_answered_in_parts_and_in_order():
    predictor = FirstPixels()
    found = answers(predictor, boxes(*([number % 90, 0, 99, 99] for number in range(150))), "repvit-sam")
    assert [(index, mask.sum()) for index, mask, _ in found] == [(number, number % 90) for number in range(150)]
    assert predictor.batches == [64, 64, 22]
