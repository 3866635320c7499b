import json
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from repvit_sam.eval.prompting.click_protocols import find_protocol
from repvit_sam.eval.tools import worst
from repvit_sam.jobs.chosen_model import ChosenModel

from ..discs import disc_folder, edit_annotations


def run(*words):
    app = worst.typer.Typer()
    app.command()(worst.main)
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})


@pytest.fixture
def scored(tmp_path, formula_photo):
    """A folder with one large disc, and scores of it."""
    folder = disc_folder(tmp_path / "data", formula_photo)
    ious = {"box": 0.25, "1 click": 0.25, "3 clicks": 0.5, "GrabCut": 0.1}
    report = {
        "program": "eval/clicks.py",
        "protocol": asdict(find_protocol("house", clicks=(1, 3))),
        "data": {"images": str(folder / "images"), "annotations": str(folder / "annotations.json")},
        **asdict(ChosenModel("small")),
        "sha256": ChosenModel("small").sha256,
        "scores": [{"photo": "7", "annotation_id": 1, "area": 7825, "iou": ious, "boundary_iou": ious}],
    }
    path = tmp_path / "results.json"
    path.write_text(json.dumps(report))
    return path


@pytest.mark.parametrize(("prompt", "iou"), [("box", "0.250"), ("3 clicks", "0.500")])
def test_a_sheet_shows_annotated_and_predicted_masks_side_by_side(scored, prompt, iou, tmp_path):
    result = run("--scores", scored, "--prompt", prompt, "--out", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    assert f"{iou} annotation 1, photo.png" in result.stdout
    assert np.asarray(Image.open(tmp_path / "sheet.png")).shape == (300, 1200, 3)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--licence", 4], "no instance of 1024 pixels"),
        (["--prompt", "x"], "have no prompt 'x'; they have box, 1 click"),
        (["--prompt", "GrabCut"], "'GrabCut' is no prompt of the model"),
        (["--data", "elsewhere"], "no COCO-format folder"),
    ],
)
def test_invalid_options_are_refused(scored, words, sentence, tmp_path):
    result = run("--scores", scored, "--out", tmp_path / "sheet.png", *words)
    assert result.exit_code == 1
    assert sentence in result.stderr


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"program": "eval/instances.py"}, "holds no scores of eval/clicks.py"),
        ({"scores": []}, "holds no scores"),
        ({"sha256": "0" * 64}, "small has changed since"),
    ],
)
def test_scores_of_something_else_are_refused(scored, change, sentence, tmp_path):
    scored.write_text(json.dumps({**json.loads(scored.read_text()), **change}))
    result = run("--scores", scored, "--out", tmp_path / "sheet.png")
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_annotations_of_other_photos_are_refused(scored, tmp_path):
    def rename(content):
        content["images"][0]["id"] = content["annotations"][0]["image_id"] = 8

    edit_annotations(tmp_path / "data", rename)
    result = run("--scores", scored, "--out", tmp_path / "sheet.png")
    assert result.exit_code == 1
    assert "lacks photos that were evaluated" in result.stderr
