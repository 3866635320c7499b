"""The whole way from a box to AP. A perfect predictor stands in where the way, not the model, is asked about."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from typer.testing import CliRunner

from repvit_sam.eval import instances
from repvit_sam.eval.datasets.annotations import read_annotations
from repvit_sam.eval.instances import InstancesJob, answers_beside_truth, figures_of, read_prompts
from repvit_sam.eval.prompting.box_protocols import find_protocol
from repvit_sam.eval.runner.run import run

from .discs import disc, disc_folder, edit_annotations

HW = (120, 160)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten photos of two discs each, of two categories; LVIS's entries beside COCO's."""
    folder = tmp_path_factory.mktemp("discs")
    (folder / "images").mkdir()
    images, annotations = [], []
    for image_id in range(1, 11):
        Image.fromarray(np.full((*HW, 3), image_id * 20, np.uint8)).save(folder / "images" / f"{image_id}.png")
        images.append({
            "id": image_id, "file_name": f"{image_id}.png", "height": HW[0], "width": HW[1],
            "neg_category_ids": [], "not_exhaustive_category_ids": [],
        })  # fmt: skip
        for category_id, mask in ((1, disc(*HW, 40 + image_id, 40, 25)), (2, disc(*HW, 110, 70, 10 + image_id))):
            rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            annotations.append({
                "id": len(annotations) + 1, "image_id": image_id, "category_id": category_id, "iscrowd": 0,
                "area": int(mask.sum()), "bbox": coco_mask.toBbox(rle).tolist(),
                "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
            })  # fmt: skip
    categories = [{"id": 1, "name": "sun", "frequency": "f"}, {"id": 2, "name": "moon", "frequency": "r"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


@dataclass(frozen=True)
class TruthTeller:
    """In place of a checkpoint: answers a box with the annotated mask that has this box.

    A mask is found by its box alone: all of them differ.
    """

    masks: dict[tuple[float, ...], np.ndarray]

    def predictor(self):
        return self

    def set_image(self, photo):
        assert photo.shape[:2] == HW

    def predict(self, box, multimask_output, batched):
        found = np.array([self.masks[tuple(row)] for row in box])
        return found[:, None], np.ones((len(box), 1)), None


def truth_teller(data):
    return TruthTeller({
        (x, y, x + w, y + h): data.mask_of(annotation)
        for annotation in data.content["annotations"]
        for x, y, w, h in [annotation["bbox"]]
    })  # fmt: skip


def records_of(folder, boxes="ground-truth", subject=None):
    data = read_annotations(folder / "annotations.json", folder / "images")
    prompts = read_prompts(boxes, data, 100)
    job = InstancesJob(subject or truth_teller(data), find_protocol("repvit-sam"), data.paths, prompts)
    return data, dict(zip(prompts, run(job, None, {}), strict=True))


@pytest.mark.parametrize("dataset", ["coco", "lvis"])
def test_a_perfect_predictor_has_an_ap_of_one(folder, dataset):
    data, records = records_of(folder)
    figures = figures_of(records, data, dataset, "ground-truth")
    assert figures["AP"] == figures["AP50"] == figures["AP75"] == 1
    assert figures["mIoU"] == 1
    assert figures["APs"] == figures["APm"] == 1
    assert figures["APl"] is figures["mIoU large"] is None  # no disc is so large
    if dataset == "lvis":
        assert figures["APr"] == figures["APf"] == 1
        assert figures["APc"] is None


def test_missed_and_false_boxes_cost_what_they_cost_on_paper(folder, tmp_path):
    """Category 1 has all ten boxes and, of score between the fifth and the sixth, five false ones: precision is 1 up to
    a recall of 0.5, then 6/11, 7/12, ... 10/15, whose best from the right is 10/15 = 2/3: (51 + 50 * 2/3) / 101.
    Category 2 misses its last five: recall stops at 0.5, 51 / 101."""
    data = read_annotations(folder / "annotations.json", folder / "images")
    rows = []
    for annotation in data.content["annotations"]:
        row = {key: annotation[key] for key in ("image_id", "category_id", "bbox")}
        if annotation["category_id"] == 1:
            rows.append({**row, "score": 0.9 if annotation["image_id"] <= 5 else 0.1})
        elif annotation["image_id"] <= 5:
            rows += [{**row, "score": 0.9}, {**row, "category_id": 1, "score": 0.5}]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    data, records = records_of(folder, str(tmp_path / "boxes.json"))
    expected = ((51 + 50 * 2 / 3) / 101 + 51 / 101) / 2
    for dataset in ("coco", "lvis"):
        figures = figures_of(records, data, dataset, "boxes.json")
        assert figures["AP"] == pytest.approx(expected, abs=1e-12)
        assert "mIoU" not in figures
    best = {
        (one.annotation["category_id"], one.annotation["image_id"]): one.iou
        for one in answers_beside_truth(records, data)
    }
    assert best[1, 9] == 1
    assert best[2, 5] == 1
    assert best[2, 6] == 0  # missed


def test_a_photo_without_boxes_counts_as_missed(folder, tmp_path):
    first = json.loads((folder / "annotations.json").read_text())["annotations"][0]
    rows = [{"image_id": 1, "category_id": 1, "bbox": first["bbox"], "score": 1}]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    data, records = records_of(folder, str(tmp_path / "boxes.json"))
    assert list(records) == [1]
    # recall 1/10 in one category of two: 11 of 101 recalls
    assert figures_of(records, data, "coco", "boxes.json")["AP"] == pytest.approx(11 / 101 / 2)


# The program itself, with the small checkpoint on one photo.


@pytest.fixture
def one_photo(tmp_path, formula_photo):
    return disc_folder(tmp_path / "data", formula_photo)


def program(folder, *words):
    command = ["--images", str(folder / "images"), "--annotations", str(folder / "annotations.json")]
    app = instances.typer.Typer()
    app.command()(instances.main)
    return CliRunner().invoke(app, [*command, "--checkpoint", "small", *words])


def test_the_program_finds_the_disc_and_says_how_it_was_asked(one_photo, tmp_path):
    out = tmp_path / "out"
    done = program(one_photo, "--boxes", "ground-truth", "--limit", "1", "--out", str(out), "--save-figures")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("A SUBSET, not comparable with figures of the whole set: the first 1 photos")
    results = json.loads((out / "results.json").read_text())
    assert results["figures"]["mIoU medium"] > 0.9  # COCO's medium: the disc
    assert results["protocol"]["name"] == "repvit-sam"
    assert len(results["sha256"]) == 64
    assert results["subset"] == "the first 1 photos"
    assert {"versions", "hardware", "seconds", "threads", "engine"} <= results.keys()
    assert (out / "table.md").read_text().strip() == done.stdout.strip()
    assert {path.name for path in (out / "figures").iterdir()} == {"best.jpg", "median.jpg", "worst.jpg"}
    assert len(json.loads((out / "detections.json").read_text())) == 2

    again = program(one_photo, "--boxes", "ground-truth", "--out", str(out), "--protocol", "sam")
    assert again.exit_code == 1
    assert "holds a run with refinements = 0, this one has 1" in again.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--boxes", "none.json"], "none.json is missing"),
        (["--boxes", "ground-truth", "--dataset", "voc"], "--dataset must be coco or lvis, got 'voc'"),
        (["--boxes", "ground-truth", "--dataset", "lvis"], "are these COCO"),
        (["--boxes", "ground-truth", "--protocol", "mine"], "--protocol must be one of"),
        (["--boxes", "ground-truth", "--save-figures"], "--save-figures draws into the folder of --out"),
        (["--boxes", "ground-truth", "--engine", "tensorrt"], "--engine must be one of torch, onnx"),
        (["--boxes", "ground-truth", "--checkpoint", "huge"], "'huge' is neither a file nor a known checkpoint"),
        (["--boxes", "ground-truth", "--workers", "0"], "--workers must be at least 1"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(one_photo, words, sentence):
    done = program(one_photo, *words)
    assert done.exit_code == 1
    assert sentence in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_photos_without_any_box_are_refused(one_photo):
    edit_annotations(one_photo, lambda content: content["annotations"].clear())
    assert "none of the 1 photos has a box" in program(one_photo, "--boxes", "ground-truth").output
