import numpy as np
import pytest

from repvit_sam.eval.baselines.box_masks import BASELINES, ellipse_in_box, filled_box, grab_cut
from repvit_sam.eval.metrics.iou import iou
from repvit_sam.eval.prompting.ground_truth import box_of

from ..discs import PHOTO_HW, disc


def test_baselines_give_what_their_names_say(formula_photo):
    mask = disc(*PHOTO_HW, 150, 110, 50)
    box = box_of(mask)
    assert iou(filled_box(formula_photo, box), mask) == pytest.approx(np.pi / 4, abs=0.02)
    assert iou(ellipse_in_box(formula_photo, box), mask) > 0.98
    assert iou(grab_cut(formula_photo, box), mask) > 0.9


@pytest.mark.parametrize("box", [(0.0, 0.0, 301.0, 229.0), (5.0, 5.0, 6.0, 6.0)])
def test_baselines_survive_the_whole_photo_and_a_single_pixel(formula_photo, box):
    for make in BASELINES.values():
        assert make(formula_photo, box).shape == PHOTO_HW
