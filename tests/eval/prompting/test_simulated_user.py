import numpy as np
import pytest

from repvit_sam.eval.datasets.coco import Instance
from repvit_sam.eval.metrics.iou import iou
from repvit_sam.eval.prompting.click_protocols import find_protocol
from repvit_sam.eval.prompting.ground_truth import box_of
from repvit_sam.eval.prompting.simulated_user import box_prompt, prompt_instances

from ..discs import PHOTO_HW, disc

BIG, SMALL = (
    Instance(n, disc(*PHOTO_HW, x, y, radius), 1.0) for n, x, y, radius in ((1, 150, 110, 50), (2, 40, 40, 9))
)


@pytest.fixture
def predictor(small_predictor, formula_photo):
    small_predictor.set_image(formula_photo)
    return small_predictor


def prompted(predictor, instances, name="house", **choices):
    return {each.prompt: each for each in prompt_instances(predictor, instances, find_protocol(name, **choices))}


def ious(prompted, instances):
    return [iou(instance.mask, mask) for instance, mask in zip(instances, prompted.masks, strict=True)]


def test_every_prompt_gives_a_mask_of_every_instance(predictor):
    found = prompted(predictor, [BIG, SMALL], "edgesam", clicks=(1, 3))
    assert list(found) == ["box", "box + 1 click", "box + 2 clicks", "1 click", "2 clicks", "3 clicks"]
    assert all(each.masks.shape == (2, *PHOTO_HW) for each in found.values())
    assert [each.points.shape[1] for each in found.values()] == [0, 1, 2, 1, 2, 3]
    assert ious(found["box"], [BIG, SMALL])[0] > 0.9


def test_the_oracle_is_never_worse_than_the_best_predicted_of_the_same_three(predictor):
    guessed, known = (
        prompted(predictor, [BIG, SMALL], masks=(choice,) * 3, clicks=(1,)) for choice in ("best-predicted", "oracle")
    )
    for prompt in ("box", "1 click"):
        assert np.greater_equal(ious(known[prompt], [BIG, SMALL]), ious(guessed[prompt], [BIG, SMALL])).all()


def test_clicks_are_placed_where_the_previous_mask_is_wrong(predictor):
    found = prompted(predictor, [SMALL], clicks=(1, 2, 3))
    (x, y), label = found["3 clicks"].points[0, 2], found["3 clicks"].labels[0, 2]
    before, pixel = found["2 clicks"].masks[0], (int(y), int(x))
    assert before[pixel] != SMALL.mask[pixel]
    assert SMALL.mask[pixel] == (label == 1)


def test_a_correct_mask_gets_no_click_and_is_kept(predictor):
    box = box_of(BIG.mask)
    truth = prompted(predictor, [BIG], clicks=(1,))["box"].masks[0]
    found = prompted(predictor, [Instance(1, truth, 1.0, box)], box="annotation", clicks=(1,), clicks_after_box=1)
    assert (found["box"].masks[0] == truth).all()
    assert found["box + 1 click"].labels.tolist() == [[-1]]
    assert (found["box + 1 click"].masks[0] == truth).all()


def test_each_option_changes_the_masks(predictor):
    usual = prompted(predictor, [SMALL], clicks=(1, 2))
    for choice in ({"feedback": False}, {"point_at": "corner"}, {"masks": ("single",) * 3}):
        other = prompted(predictor, [SMALL], clicks=(1, 2), **choice)
        assert any((usual[prompt].masks != other[prompt].masks).any() for prompt in usual), choice


def test_the_box_is_the_masks_or_the_annotations():
    instance = Instance(1, BIG.mask, 1.0, (99.5, 60.0, 201.0, 161.0))
    assert box_prompt(instance, find_protocol("house")) == (101, 61, 200, 160)
    assert box_prompt(instance, find_protocol("efficientvit")) == instance.box


def test_every_mask_gets_a_second_look(predictor):
    first, refined = (prompted(predictor, [SMALL], clicks=(1, 2), refine=refine) for refine in (False, True))
    assert (first["box"].masks != refined["box"].masks).any()
    assert ious(refined["box"], [SMALL])[0] >= ious(first["box"], [SMALL])[0]
    expected = predictor.predict(box=box_of(SMALL.mask), multimask_output=False, refine=True)[0]
    np.testing.assert_array_equal(refined["box"].masks, expected)
