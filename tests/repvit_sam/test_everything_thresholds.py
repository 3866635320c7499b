from dataclasses import replace

import pytest

import repvit_sam
from repvit_sam.errors import CheckpointError
from repvit_sam.everything_thresholds import EverythingThresholds, thresholds_of


def with_metadata(model, **provenance):
    other = repvit_sam.build_repvit_sam(model.variant, canvas=64)
    other.checkpoint = replace(model.checkpoint, path=model.checkpoint.path.with_name("mine"), provenance=provenance)
    return other


def test_a_bundled_checkpoint_has_thresholds_of_its_own(small):
    generator = repvit_sam.SamAutomaticMaskGenerator(small)
    thresholds = thresholds_of(small)
    assert 0.6 < thresholds.pred_iou_thresh < 0.88
    assert generator.pred_iou_thresh == thresholds.pred_iou_thresh
    assert generator.stability_score_thresh == thresholds.stability_score_thresh
    assert repvit_sam.SamAutomaticMaskGenerator(small, pred_iou_thresh=0.5).pred_iou_thresh == 0.5


def test_a_files_own_thresholds_come_first_and_sams_last(small):
    assert thresholds_of(with_metadata(small, everything_thresholds="0.7 0.85")) == EverythingThresholds(0.7, 0.85)
    assert thresholds_of(with_metadata(small)) == EverythingThresholds(0.88, 0.95)
    assert thresholds_of(repvit_sam.build_repvit_sam("repvit_m0_9", canvas=64)) == EverythingThresholds(0.88, 0.95)


@pytest.mark.parametrize("text", ["", "0.8", "0.8 high", "0.8 1.2", "1 2 3"])
def test_metadata_that_are_no_thresholds_are_named(small, text):
    with pytest.raises(CheckpointError, match="must be two numbers"):
        thresholds_of(with_metadata(small, everything_thresholds=text))
