import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from typer.testing import CliRunner

from repvit_sam.eval import proposals
from repvit_sam.eval.datasets.annotations import Annotations
from repvit_sam.eval.metrics.average_precision import average_recall
from repvit_sam.eval.metrics.box_recall import average_box_recall

from .rectangles import PHOTO_HW, annotated, coco_file, found


def run(*words):
    app = proposals.typer.Typer()
    app.command()(proposals.main)
    return CliRunner().invoke(app, [str(word) for word in words])


def disc(x, y, radius, height=229, width=301):
    rows, columns = np.mgrid[0:height, 0:width]
    return np.hypot(columns - x, rows - y) < radius


@pytest.fixture
def data(tmp_path, formula_photo):
    """Two photos with a disc each, one with a crowd region as well, and one with nothing annotated."""
    (tmp_path / "images").mkdir()
    annotations = []
    for number, (image_id, mask) in enumerate([(7, disc(150, 110, 50)), (7, disc(20, 20, 9)), (8, disc(150, 110, 50))]):
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


def test_recall_of_single_photos_adds_up_to_that_of_all():
    """Sizes on both sides of the borders and on one, a photo without proposals, one without annotations."""
    chance = np.random.default_rng(0)
    boxes = [[(5, 5, 32, 32), (60, 10, 100, 96), (20, 120, 12, 9)], [(10, 10, 96, 96)], [(3, 3, 30, 50), (50, 9, 9, 9)]]
    truths = [annotated(n, box, bbox=list(box)) for n, many in enumerate(boxes, 1) for box in many]
    content = coco_file([1, 2, 3, 4], *truths)
    annotations = Annotations(Path("a.json"), content, (1, 2, 3, 4), {})
    answers = {n: [] for n in (1, 2, 3)}
    for n, many in enumerate(boxes[:2], 1):
        for box in many * 8:
            moved = np.clip(np.array(box) + chance.integers(-4, 5, 4), 1, min(PHOTO_HW) - 101)
            answers[n].append(found(n, float(chance.random()), moved))
    records = [proposals.evaluate_photo(answers[n], annotations, n) for n in (1, 2, 3)]
    together = [answer for many in answers.values() for answer in many]
    for kind, recall in (("masks", average_recall), ("boxes", average_box_recall)):
        expected = recall(content, together, [1, 2, 3, 4], proposals.LIMITS)
        assert proposals.summarise(records, kind) == pytest.approx(expected)
        assert 0.1 < expected["AR@1000"] < 0.9
        assert expected["AR@10"] < expected["AR@1000"]


def test_proposals_are_ranked_as_asked_and_cut_at_1000():
    some = [{"segmentation": n, "predicted_iou": n / 2000, "stability_score": 1 - n / 1000} for n in range(1001)]
    assert [one["segmentation"] for one in proposals.ranked(some, "predicted-iou")][:2] == [1000, 999]
    assert [one["segmentation"] for one in proposals.ranked(some, "stability")][:2] == [0, 1]
    best = proposals.ranked(some, "mean")
    assert best[0] == {"segmentation": 0, "score": 0.5}
    assert best[-1] == {"segmentation": 999, "score": pytest.approx((0.4995 + 0.001) / 2)}


def test_the_best_proposal_of_an_annotation_is_kept():
    content = coco_file([1], annotated(1, (10, 10, 40, 40)), annotated(1, (150, 100, 20, 20)))
    annotations = Annotations(Path("a.json"), content, (1,), {})
    near, far = found(1, 0.1, (10, 10, 40, 30)), found(1, 0.9, (10, 10, 20, 20))
    best = proposals.best_of([far, near], annotations, annotations.by_image[1])
    assert best == [{"annotation_id": 1, "iou": 0.75, "segmentation": near["segmentation"]}]
    assert proposals.best_of([], annotations, annotations.by_image[1]) == []


def test_presets_are_those_of_the_published_tables():
    sam = proposals.PROTOCOLS["sam-64"]
    assert (sam.points_per_side, sam.pred_iou_thresh, sam.stability_score_thresh, sam.box_nms_thresh) == (64, 0, 0, 0.9)
    assert proposals.PROTOCOLS["plain"].points_per_side == proposals.PROTOCOLS["sam-32"].points_per_side == 32


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (["--protocol", "fast"], "--protocol must be one of sam-64, sam-32, plain"),
        (["--rank", "area"], "--rank must be one of mean, predicted-iou, stability"),
        (["--box-nms-thresh", 7], "--box-nms-thresh must lie in 0..1"),
        (["--crop-n-layers", -1], "--crop-n-layers must be at least 0"),
        (["--save-figures"], "give one"),
        (["--checkpoint", "nowhere.pt"], "nowhere.pt"),
    ],
)
def test_choices_that_cannot_be_are_refused_in_a_sentence(data, choice, words):
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
