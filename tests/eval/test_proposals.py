import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from typer.testing import CliRunner

from repvit_sam.eval import proposals

from .discs import PHOTO_HW, disc


def run(*words):
    app = proposals.typer.Typer()
    app.command()(proposals.main)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def data(tmp_path, formula_photo):
    """Two photos with a disc each, one with a crowd region as well, and one with nothing annotated."""
    (tmp_path / "images").mkdir()
    annotations = []
    for number, (image_id, mask) in enumerate(
        [(7, disc(*PHOTO_HW, 150, 110, 50)), (7, disc(*PHOTO_HW, 20, 20, 9)), (8, disc(*PHOTO_HW, 150, 110, 50))]
    ):
        rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        annotations.append({
            "id": number, "image_id": image_id, "category_id": 3, "iscrowd": int(number == 1), "area": int(mask.sum()),
            "bbox": coco_mask.toBbox(rle).tolist(),
            "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
        })  # fmt: skip
    images = [{"id": n, "file_name": f"{n}.jpg", "height": 229, "width": 301} for n in (7, 8, 9)]
    for image in images:
        Image.fromarray(formula_photo).save(tmp_path / "images" / image["file_name"], quality=95)
    content = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "disc"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    grid = ["--protocol", "plain", "--points-per-side", 3, "--pred-iou-thresh", 0.5, "--stability-score-thresh", 0.5]
    return ["--images", tmp_path / "images", "--annotations", tmp_path / "annotations.json",
            "--checkpoint", "small", *grid]  # fmt: skip


def test_the_disc_is_proposed_and_a_run_goes_on_where_it_was_stopped(data, tmp_path):
    out = tmp_path / "out"
    first = run(*data, "--out", out, "--limit", 1)
    assert first.output.startswith("A SUBSET")
    kept = (out / "records-0.jsonl").read_text()
    result = run(*data, "--out", out, "--save-figures")
    assert result.exit_code == 0, result.output
    records = (out / "records-0.jsonl").read_text()
    assert records.startswith(kept)
    assert records.count("\n") == 2
    report = json.loads((out / "results.json").read_text())
    assert (report["data"]["photos"], report["data"]["instances"]) == (3, 2)
    assert list(report["rows"]) == ["small, masks", "small, boxes"]
    assert min(row["AR@1000"] for row in report["rows"].values()) > 0.7
    assert report["figures"]["ARs@1000"] is None
    assert (out / "figures" / "best.jpg").is_file()
    assert "rank = 'mean'" in run(*data, "--out", out, "--rank", "stability").output


def test_presets_are_those_of_the_published_tables():
    sam = proposals.PROPOSAL_PROTOCOLS["sam-64"]
    assert (sam.points_per_side, sam.pred_iou_thresh, sam.stability_score_thresh, sam.box_nms_thresh) == (64, 0, 0, 0.9)
    assert (
        proposals.PROPOSAL_PROTOCOLS["plain"].points_per_side
        == proposals.PROPOSAL_PROTOCOLS["sam-32"].points_per_side
        == 32
    )


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (["--protocol", "quick"], "--protocol must be one of sam-64, sam-32, plain, fast"),
        (["--rank", "area"], "--rank must be one of mean, predicted-iou, stability"),
        (["--box-nms-thresh", 7], "--box-nms-thresh must lie in 0..1"),
        (["--crop-n-layers", -1], "--crop-n-layers must be at least 0"),
        (["--save-figures"], "--save-figures draws into OUT/figures: give --out"),
        (["--checkpoint", "nowhere.pt"], "nowhere.pt"),
    ],
)
def test_invalid_options_are_refused_in_one_sentence(data, choice, words):
    result = run(*data, *choice)
    assert result.exit_code == 1
    assert words in " ".join(result.output.split())


@pytest.mark.parametrize("lost", ["segmentation", "area", "bbox"])
def test_annotations_that_lack_something_are_refused_before_anything_is_computed(data, tmp_path, lost):
    content = json.loads((tmp_path / "annotations.json").read_text())
    del content["annotations"][2][lost]
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    assert f"has no {lost}" in " ".join(run(*data).output.split())


def test_photos_without_annotations_are_refused(data, tmp_path):
    content = json.loads((tmp_path / "annotations.json").read_text())
    (tmp_path / "annotations.json").write_text(json.dumps({**content, "annotations": []}))
    assert "annotates nothing on these 3 photos" in " ".join(run(*data).output.split())
