import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from repvit_sam.eval import worst

from .test_clicks import disc_folder


def run(*words):
    app = worst.typer.Typer()
    app.command()(worst.main)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def scored(tmp_path, formula_photo):
    """A folder with one large disc, and scores for it."""
    folder = disc_folder(tmp_path / "data", formula_photo)
    scores = [{"prompt": prompt, "annotation_id": 1, "area": 1, "iou": 0.25} for prompt in ("box", "1 click")]
    (tmp_path / "scores.json").write_text(json.dumps({"checkpoint": "small", "scores": scores}))
    return folder, tmp_path / "scores.json"


@pytest.mark.parametrize("prompt", ["box", "1 click"])
def test_a_sheet_shows_truth_and_answer_side_by_side(scored, prompt, tmp_path):
    folder, scores = scored
    result = run("--data", folder, "--scores", scores, "--prompt", prompt, "--out", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    assert "0.250 annotation 1" in result.stdout
    assert np.asarray(Image.open(tmp_path / "sheet.png")).shape == (300, 1200, 3)


@pytest.mark.parametrize(
    ("words", "sentence"), [(["--licence", 4], "no instance of 1024 pixels"), (["--prompt", "x"], "hold no 'x'")]
)
def test_what_cannot_be_drawn_is_said(scored, words, sentence, tmp_path):
    folder, scores = scored
    result = run("--data", folder, "--scores", scores, "--out", tmp_path / "sheet.png", *words)
    assert result.exit_code == 1
    assert sentence in result.stderr
