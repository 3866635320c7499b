"""``segment --boxes`` and ``segment --text``: boxes of a file, and of a detector with random weights."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

import repvit_sam
from repvit_sam.rle import decode_rle

from .conftest import COFFEE, run

CUP, SPOON = [170, 12, 255, 270], [395, 95, 180, 50]


def row(bbox=CUP, score=0.9, category_id=47, **image):
    return {**image, "category_id": category_id, "bbox": bbox, "score": score}


def written(path, content):
    path.write_text(json.dumps(content))
    return path


def masks_json(folder):
    return json.loads((folder / "masks.json").read_text())


def test_boxes_of_a_file_give_masks_with_labels_and_scores(light, tmp_path):
    images = {"images": [{"id": 1, "file_name": "coffee.jpg"}], "categories": [{"id": 47, "name": "cup"}]}
    boxes = written(tmp_path / "boxes.json", [row(SPOON, 0.3, 50, image_id=1), row(image_id=1)])
    words = ("--boxes", boxes, "--annotations", written(tmp_path / "instances.json", images))
    result = run("segment", COFFEE, *words, *light, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert "coffee.jpg mask 1 (cup 0.90): " in first
    assert "coffee.jpg mask 2 (50 0.30): " in second
    content = masks_json(tmp_path / "out")
    assert content["categories"] == [{"id": 47, "name": "cup"}, {"id": 50, "name": "50"}]
    assert [(one["category_id"], one["label"], one["score"]) for one in content["masks"]] == [
        (47, "cup", 0.9),
        (50, "50", 0.3),
    ]
    assert content["masks"][0]["prompt"] == {"points": [], "box": [170, 12, 425, 282]}
    predictor = repvit_sam.SamPredictor(repvit_sam.load(light[1], device="cpu"))
    predictor.set_image(COFFEE)
    expected = predictor.predict(box=[[170, 12, 425, 282], [395, 95, 575, 145]], multimask_output=False)[0][:, 0]
    for number, one in enumerate(content["masks"]):
        picture = np.asarray(Image.open(tmp_path / "out" / f"mask_{number + 1}.png"))
        np.testing.assert_array_equal(decode_rle(one["segmentation"]), expected[number])
        np.testing.assert_array_equal(picture > 0, expected[number])


def test_weak_and_surplus_detections_are_left_out(light, tmp_path):
    boxes = written(tmp_path / "boxes.json", [row(SPOON, 0.3), row(), row(SPOON, 0.5)])
    for words, count in ((("--score", 0.4), 2), (("--max-boxes", 1), 1)):
        result = run("segment", COFFEE, "--boxes", boxes, *words, *light, "--out", tmp_path / "out")
        assert result.stdout.count("\n") == count, result.output


def test_every_mask_and_refine_go_with_boxes(light, tmp_path):
    boxes = written(tmp_path / "boxes.json", [row(SPOON), row()])
    result = run("segment", COFFEE, "--boxes", boxes, "--every-mask", "--refine", *light, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert [one["score"] for one in masks_json(tmp_path / "out")["masks"]] == [0.9] * 6


def test_a_folder_takes_from_a_file_what_belongs_to_each_photo(light, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a", "b", "c"):
        Image.effect_noise((60, 40), 90).save(photos / f"{name}.png")
    (photos / "d.png").write_text("no picture")
    rows = [
        row([5, 5, 20, 20], file_name="a.png"),
        row([30, 9, 20, 20], file_name="a.png"),
        row([900, 9, 20, 20], file_name="c.png"),
    ]
    result = run("segment", photos, "--boxes", written(tmp_path / "x.json", rows), *light, "--out", tmp_path / "out")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert ["mask 1 (47 0.90)" in line for line in lines] == [True, False, False]
    assert lines[2] == f"{photos / 'b.png'}: nothing found -> {tmp_path / 'out' / 'b' / 'masks.json'}"
    assert "x.json: box must be in pixels of the photo, 60 wide" in result.stderr
    assert "d.png is not a picture" in result.stderr
    assert "2 of the photos failed" in result.stderr
    assert masks_json(tmp_path / "out" / "b")["masks"] == []
    assert sorted(path.name for path in (tmp_path / "out" / "b").iterdir()) == ["masks.json", "overlay.png"]


def test_a_text_gives_masks_of_what_the_detector_finds(light, grounding_dino_folder, tmp_path):
    words = (
        "--text",
        "cat. Remote control.",
        "--detector",
        grounding_dino_folder,
        "--box-threshold",
        0,
        "--max-boxes",
        5,
    )
    result = run("segment", COFFEE, *words, "--text-threshold", 0, *light, "--device", "cpu", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    detector = repvit_sam.load_text_detector(grounding_dino_folder, device="cpu")
    found = detector.detect(COFFEE, "cat. Remote control.", 0, 0, max_boxes=5)
    content = masks_json(tmp_path)
    assert len(content["masks"]) == len(found) > 1
    assert [one["label"] for one in content["masks"]] == list(found.labels)
    np.testing.assert_allclose([one["prompt"]["box"] for one in content["masks"]], found.boxes_xyxy, atol=0.006)
    assert {(one["id"], one["name"]) for one in content["categories"]} <= {(1, "cat"), (2, "Remote control")}


def test_a_text_that_finds_nothing_says_so(light, owlv2_folder, tmp_path):
    words = ("--text", "cat", "--detector", owlv2_folder, "--box-threshold", 1)
    result = run("segment", COFFEE, *words, *light, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{COFFEE}: nothing found -> {tmp_path / 'masks.json'}\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--text", "cat", "--box", "1,2,3,4"], 2, "--point or --box and --text do not go together"),
        (["--text", "cat", "--boxes", "x.json"], 2, "--text and --boxes do not go together"),
        (["--text", "cat", "--score", "0.3"], 2, "--score goes with --boxes, not with --text"),
        (["--boxes", "x.json", "--detector", "y"], 2, "--detector goes with --text, not with --boxes"),
        (["--point", "1,2", "--max-boxes", "3"], 2, "--max-boxes goes with --text and --boxes, not with --point"),
        (["--boxes", "x.json"], 1, "x.json is missing; expected a JSON file with a COCO results list"),
        (["--text", " . "], 1, "the text names nothing to look for"),
        (["--text", "cat", "--detector", "nothing"], 1, "neither a folder nor a detector's name"),
    ],
)
def test_options_that_do_not_go_together_are_said(words, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("segment", COFFEE, *words, "--checkpoint", "small", "--engine", "torch")
    assert result.exit_code == code, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert isinstance(result.exception, SystemExit)


def test_a_file_of_boxes_needs_no_transformers(light, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)  # an import would fail
    boxes = written(tmp_path / "boxes.json", [row()])
    result = run("segment", COFFEE, "--boxes", boxes, *light, "--out", tmp_path)
    assert result.exit_code == 0, result.output
