import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from typer.testing import CliRunner

import repvit_sam
from repvit_sam.eval import clicks
from repvit_sam.eval.baselines import BASELINES, ellipse_in_box, filled_box, grab_cut
from repvit_sam.eval.clicking import box_of, centre_of, next_click
from repvit_sam.eval.coco import CocoFolder
from repvit_sam.eval.metrics import iou, mean_by_size


def disc(height=60, width=80, x=40, y=30, radius=20):
    rows, columns = np.mgrid[0:height, 0:width]
    return np.hypot(columns - x, rows - y) < radius


@pytest.fixture
def coco_folder(tmp_path, formula_photo):
    return disc_folder(tmp_path, formula_photo)


def disc_folder(folder, photo):
    """One photo with a disc, a speck and a crowd region, in COCO format."""
    (folder / "images").mkdir(parents=True)
    Image.fromarray(photo).save(folder / "images" / "photo.png")
    masks = {1: disc(229, 301, 150, 110, 50), 2: disc(229, 301, 20, 20, 5), 3: disc(229, 301, 250, 200, 20)}
    annotations = []
    for number, mask in masks.items():
        rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        annotations.append({
            "id": number, "image_id": 7, "category_id": 1, "iscrowd": int(number == 3), "area": int(mask.sum()),
            "bbox": coco_mask.toBbox(rle).tolist(),
            "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
        })  # fmt: skip
    content = {
        "images": [{"id": 7, "file_name": "photo.png", "height": 229, "width": 301}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "disc"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def test_crowds_and_small_instances_are_left_out(coco_folder):
    assert [i.annotation_id for i in CocoFolder(coco_folder)[0].instances] == [1, 2]
    assert [i.annotation_id for i in CocoFolder(coco_folder, min_area=1024)[0].instances] == [1]


def test_box_and_centre_are_in_continuous_coordinates():
    mask = np.zeros((10, 20), bool)
    mask[2:5, 3:10] = True
    assert box_of(mask) == (3, 2, 10, 5)
    x, y = centre_of(mask)
    assert y == 3.5
    assert 4 < x < 9


def test_the_centre_keeps_away_from_the_border_of_the_photo():
    assert centre_of(np.ones((9, 9), bool)) == (4.5, 4.5)


def test_the_next_click_goes_into_the_deeper_error():
    truth, predicted = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    truth[5:30, 5:30] = True
    predicted[20:24, 20:40] = True
    point, label = next_click(truth, predicted)
    assert label == 1
    assert truth[int(point[1]), int(point[0])]
    predicted = np.ones((40, 40), bool)
    assert next_click(truth, predicted)[1] == 0
    assert next_click(truth, truth) is None


def test_iou_and_its_means_by_size():
    assert iou(disc(), disc()) == 1
    assert iou(disc(), ~disc()) == 0
    assert iou(np.zeros((3, 3), bool), np.zeros((3, 3), bool)) == 1
    means = mean_by_size([0.2, 0.4, 0.9], [10, 2000, 3000])
    assert means == pytest.approx({"all": 0.5, "small": 0.2, "medium": 0.65, "large": None})


def test_baselines_give_what_their_names_say(formula_photo):
    mask = disc(229, 301, 150, 110, 50)
    box = box_of(mask)
    assert iou(filled_box(formula_photo, box), mask) == pytest.approx(np.pi / 4, abs=0.02)
    assert iou(ellipse_in_box(formula_photo, box), mask) > 0.98
    assert iou(grab_cut(formula_photo, box), mask) > 0.9


@pytest.mark.parametrize("box", [(0.0, 0.0, 301.0, 229.0), (5.0, 5.0, 6.0, 6.0)])
def test_baselines_survive_the_whole_photo_and_a_single_pixel(formula_photo, box):
    for make in BASELINES.values():
        assert make(formula_photo, box).shape == (229, 301)


def test_the_disc_is_found_with_every_prompt_and_the_json_holds_all_figures(coco_folder, tmp_path):
    app = clicks.typer.Typer()
    app.command()(clicks.main)
    words = ["--data", coco_folder, "--checkpoint", "tinyvit_sam", "--min-area", 1024, "--json", tmp_path / "r.json"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["instances"] == 1
    assert list(report["mean_iou"]) == ["box", "1 click", "2 clicks", "3 clicks", "5 clicks", *BASELINES]
    assert report["mean_iou"]["box"]["all"] > 0.95
    assert report["mean_iou"]["5 clicks"]["all"] > 0.9
    assert report["mean_iou"]["box"]["small"] is None
    assert len(report["scores"]) == 8


def test_evaluating_does_not_change_with_the_company(model, coco_folder):
    predictor = repvit_sam.SamPredictor(model)
    labelled = CocoFolder(coco_folder)[0]
    together = clicks.evaluate_photo(predictor, labelled, clicks=(1, 2))
    alone = clicks.evaluate_photo(predictor, replace(labelled, instances=labelled.instances[:1]), clicks=(1, 2))
    assert [s.iou for s in together if s.annotation_id == 1] == pytest.approx([s.iou for s in alone], abs=1e-3)


@pytest.mark.parametrize("words", ["is no COCO-format folder", "not in COCO instances format", "annotated but missing"])
def test_a_folder_that_cannot_be_evaluated_says_why(words, coco_folder):
    if words.startswith("is no"):
        (coco_folder / "annotations.json").unlink()
    elif words.startswith("not in"):
        (coco_folder / "annotations.json").write_text("{]")
    else:
        (coco_folder / "images" / "photo.png").unlink()
    with pytest.raises(ValueError, match=words):
        CocoFolder(coco_folder)[0]
