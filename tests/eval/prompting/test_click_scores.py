from dataclasses import replace

import pytest

from repvit_sam.eval.baselines.box_masks import BASELINES
from repvit_sam.eval.datasets.coco import CocoFolder
from repvit_sam.eval.prompting.click_protocols import find_protocol
from repvit_sam.eval.prompting.click_scores import mean_scores, merged, score_baselines, score_photo

from ..discs import disc_folder

PROTOCOL = find_protocol("house", clicks=(1, 2))


@pytest.fixture
def labelled(tmp_path, formula_photo):
    return CocoFolder(disc_folder(tmp_path, formula_photo))[0]


def test_a_score_does_not_depend_on_the_other_instances(small_predictor, labelled):
    all_scores = score_photo(small_predictor, labelled, PROTOCOL)
    alone = score_photo(small_predictor, replace(labelled, instances=labelled.instances[:1]), PROTOCOL)
    assert [score["annotation_id"] for score in all_scores] == [1, 2]
    assert all_scores[0]["iou"] == pytest.approx(alone[0]["iou"], abs=1e-3)
    assert all_scores[0]["boundary_iou"] == pytest.approx(alone[0]["boundary_iou"], abs=1e-2)


def test_a_model_agrees_with_itself_on_the_box_and_the_first_click(small_predictor, labelled):
    for score in score_photo(small_predictor, labelled, PROTOCOL, teacher=small_predictor):
        assert score["agreement"] == {"box": 1, "1 click": 1}


def test_baselines_are_scored_beside_the_model(labelled):
    found = score_baselines(labelled)
    assert [list(score["iou"]) for score in found] == [list(BASELINES)] * 2
    assert found[0]["iou"]["ellipse in the box"] > 0.98
    assert found[0]["boundary_iou"]["box filled"] < found[0]["iou"]["box filled"]


def score_of(area, *ious):
    names = ("box", "1 click", "2 clicks")
    measured = {"iou": dict(zip(names, ious, strict=True)), "boundary_iou": dict.fromkeys(names, 0.5)}
    return {"annotation_id": 1, "area": area, **measured, "agreement": {"box": 0.9, "1 click": 0.7}}


def test_the_table_has_means_by_size_clicks_needed_and_the_agreement():
    rows = mean_scores([score_of(100, 0.6, 0.2, 0.87), score_of(2000, 0.8, 0.9, 0.9)], PROTOCOL, "tinyvit_sam")
    assert list(rows) == [
        "box", "1 click", "2 clicks", "NoC@85 (of 2)", "NoC@90 (of 2)",
        "box, IoU with tinyvit_sam", "1 click, IoU with tinyvit_sam",
    ]  # fmt: skip
    assert rows["box"] == pytest.approx({"all": 0.7, "small": 0.6, "medium": 0.8, "large": None, "boundary IoU": 0.5})
    assert rows["NoC@85 (of 2)"]["all"] == 1.5
    assert (rows["NoC@90 (of 2)"]["small"], rows["NoC@90 (of 2)"]["medium"]) == (2, 1)
    assert rows["1 click, IoU with tinyvit_sam"]["all"] == pytest.approx(0.7)


def test_noc_counts_every_click_even_those_not_shown():
    protocol = find_protocol("house", clicks=(2,))
    rows = mean_scores([score_of(100, 0.6, 0.95, 0.95)], protocol)
    assert rows["NoC@90 (of 2)"]["all"] == 1
    assert "1 click" not in rows


def test_two_scores_of_one_instance_are_merged(labelled):
    model = {"annotation_id": 1, "area": 9, "iou": {"box": 1}, "boundary_iou": {"box": 1}, "agreement": {"box": 1}}
    both = merged(model, score_baselines(labelled)[0])
    assert list(both["iou"]) == ["box", *BASELINES]
    assert both["agreement"] == {"box": 1}
