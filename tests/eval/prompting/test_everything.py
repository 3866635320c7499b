import pytest

from repvit_sam.eval.prompting.everything import Everything
from repvit_sam.everything_thresholds import thresholds_of


def test_given_settings_replace_the_defaults_and_none_keeps_them():
    changed = Everything().changed(points_per_side=8, box_nms_thresh=None)
    assert (changed.points_per_side, changed.box_nms_thresh) == (8, 0.7)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"points_per_side": 0}, "--points-per-side must be at least 1, got 0"),
        ({"crop_n_layers": -1}, "--crop-n-layers must be at least 0, got -1"),
        ({"pred_iou_thresh": 1.5}, "--pred-iou-thresh must lie in 0..1, got 1.5"),
        ({"box_nms_thresh": -0.1}, "--box-nms-thresh must lie in 0..1, got -0.1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Everything(**settings)


def test_the_generator_has_the_settings_and_writes_rle(small_predictor):
    generator = Everything(points_per_side=4, crop_n_layers=1).generator(small_predictor)
    assert [len(grid) for grid in generator.point_grids] == [16, 16]
    assert generator.output_mode == "coco_rle"


def test_thresholds_of_none_are_the_checkpoint_s_own(small_predictor):
    generator = Everything(pred_iou_thresh=None, stability_score_thresh=None, mode="fast").generator(small_predictor)
    own = thresholds_of(small_predictor.model)
    assert (generator.pred_iou_thresh, generator.stability_score_thresh) == (
        own.pred_iou_thresh,
        own.stability_score_thresh,
    )
