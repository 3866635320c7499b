import json
import pickle

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from repvit_sam.eval import clicks
from repvit_sam.eval.baselines.box_masks import BASELINES
from repvit_sam.eval.datasets.coco import CocoFolder
from repvit_sam.eval.prompting.click_protocols import find_protocol
from repvit_sam.jobs.chosen_model import ChosenModel

from .discs import disc_folder, edit_annotations


@pytest.fixture
def coco_folder(tmp_path, formula_photo):
    return disc_folder(tmp_path / "data", formula_photo)


def run(*words):
    app = clicks.typer.Typer()
    app.command()(clicks.main)
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})


@pytest.mark.slow
def test_the_disc_is_found_with_every_prompt_and_the_results_are_complete(coco_folder, tmp_path):
    out = tmp_path / "out"
    words = ["--data", coco_folder, "--checkpoint", "small", "--min-area", 1024, "--limit", 1, "--out", out]
    result = run(*words, "--clicks", "1,3", "--teacher", "small", "--save-figures", "--masks", "single")
    assert result.exit_code == 0, result.output
    report = json.loads((out / "results.json").read_text())
    noc, taught = ["NoC@85 (of 3)", "NoC@90 (of 3)"], ["box, IoU with small", "1 click, IoU with small"]
    assert list(report["rows"]) == ["box", "1 click", "3 clicks", *BASELINES, *noc, *taught]
    assert report["data"]["instances"] == 1
    assert report["figures"]["box"] == report["rows"]["box"]["all"] > 0.9
    assert report["rows"]["box"]["small"] is None
    assert report["figures"]["box, IoU with small"] == pytest.approx(1, abs=1e-3)
    assert [score["annotation_id"] for score in report["scores"]] == [1]
    assert list(report["scores"][0]["iou"]) == ["box", "1 click", "2 clicks", "3 clicks", *BASELINES]
    assert "| `3 clicks`" in result.stdout
    assert result.stdout.startswith("A SUBSET")
    assert "house, changed, 1 instance of 1024 px or more, small: 1 photos" in (out / "table.md").read_text()
    assert np.asarray(Image.open(out / "figures" / "best.jpg")).shape == (300, 1200, 3)

    words += ["--masks", "single"]
    again = run(*words, "--clicks", "2,3", "--teacher", "small")  # what is shown changes nothing in the records
    assert again.exit_code == 0, again.output
    assert len((out / "records-0.jsonl").read_text().splitlines()) == 1
    other = run(*words, "--clicks", "1,3", "--teacher", "tinyvit_sam")
    assert other.exit_code == 1
    assert "holds a run with teacher" in other.stderr


def test_a_second_look_is_another_protocol(coco_folder, tmp_path):
    words = ["--data", coco_folder, "--checkpoint", "small", "--clicks", 1, "--no-baselines", "--out", tmp_path / "out"]
    result = run(*words, "--refine")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "results.json").read_text())["protocol"]["refine"] is True
    assert "house, changed" in result.stdout
    other = run(*words)
    assert other.exit_code == 1
    assert "give another --out" in other.stderr


def test_workers_get_a_copy_of_the_job(coco_folder):
    job = clicks.ClicksJob(ChosenModel("small"), None, find_protocol("house"), CocoFolder(coco_folder), baselines=True)
    copy = pickle.loads(pickle.dumps(job))
    assert list(copy.keys) == ["7"]
    assert copy.folder.by_key("7").instances[0].annotation_id == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--save-figures"], "--save-figures draws into OUT/figures: give --out"),
        (["--protocol", "sam"], "--protocol must be one of house, efficientvit, edgesam"),
        (["--clicks", "many"], "--clicks must be numbers"),
        (["--min-area", 1e6], "no instance of 1e+06 pixels or more"),
        (["--checkpoint", "nobody"], "nobody"),
        (["--teacher", "nobody"], "nobody"),
        (["--engine", "tpu"], "--engine must be one of"),
        (["--images", "elsewhere"], "no COCO-format folder"),
    ],
)
def test_invalid_options_are_refused_before_anything_is_computed(coco_folder, words, sentence):
    result = run("--data", coco_folder, *words)
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_photo_that_is_missing_is_named(coco_folder):
    (coco_folder / "images" / "photo.png").unlink()
    result = run("--data", coco_folder)
    assert result.exit_code == 1
    assert "photo.png" in result.stderr


def test_a_protocol_that_uses_boxes_needs_them(coco_folder):
    edit_annotations(coco_folder, lambda content: content["annotations"][0].pop("bbox"))
    result = run("--data", coco_folder, "--protocol", "efficientvit")
    assert result.exit_code == 1
    assert "annotation 1 of" in result.stderr
    assert "has no bbox" in result.stderr
