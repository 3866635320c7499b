import numpy as np
import pytest

import repvit_sam
from repvit_sam.eval.metrics.saliency import mean_absolute_error
from repvit_sam.eval.prompting.everything import Everything
from repvit_sam.eval.prompting.saliency import best_of_everything, prompted_saliency, sigmoid

from ..discs import PHOTO_HW, disc

TRUTH = disc(*PHOTO_HW, 150, 110, 50)


@pytest.fixture(scope="module")
def small():
    return repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu"))


def test_probabilities_are_what_box_and_point_are_measured_on(small, formula_photo):
    for with_box in (True, False):
        saliency_map, masks = prompted_saliency(small, with_box, formula_photo, TRUTH)
        assert masks == (1 if with_box else 3)
        assert saliency_map.shape == (229, 301)
        assert 0 <= saliency_map.min() < 0.01
        assert 0.99 < saliency_map.max() <= 1
        assert len(np.unique(saliency_map)) > 1000


@pytest.mark.parametrize(("misses_are_wrong", "mae"), [(False, 0.25), (True, 1)])
def test_where_no_mask_touches_the_truth_the_protocols_differ(small, formula_photo, misses_are_wrong, mae):
    strict = Everything(points_per_side=1, pred_iou_thresh=1, stability_score_thresh=1).generator(small)
    photo, truth = formula_photo[:228, :300], np.zeros((228, 300), bool)
    truth[:114, :150] = True
    saliency_map, masks = best_of_everything(strict, misses_are_wrong, photo, truth)
    assert masks == 0
    assert mean_absolute_error(saliency_map, truth) == mae


def test_the_sigmoid_does_not_overflow():
    assert sigmoid(np.array([-1e4, 0, 1e4])).tolist() == [0, 0.5, 1]
