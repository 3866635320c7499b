import json

import numpy as np
import pytest
from typer.testing import CliRunner

from repvit_sam.eval.tools import agreement

from ...conftest import PHOTOS


def run(*words):
    app = agreement.typer.Typer()
    app.command()(agreement.main)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.slow
def test_a_model_agrees_with_itself_and_less_with_another(tmp_path):
    words = ["--photos", PHOTOS / "coffee.jpg", "--teacher", "small", "--json", tmp_path / "a.json"]
    assert run(*words, "--student", "small").exit_code == 0
    same = [line["iou"] for line in json.loads((tmp_path / "a.json").read_text())]
    assert same == pytest.approx([1.0] * len(same))
    result = run(*words, "--student", "tinyvit_sam")
    other = [line["iou"] for line in json.loads((tmp_path / "a.json").read_text())]
    assert 0.3 < np.mean(other) < 1
    assert "box    mean IoU" in result.stdout


def test_an_object_found_twice_counts_once():
    first, second = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    first[2:10, 2:10] = True
    second[12:18, 12:18] = True
    nothing, everything = np.zeros((20, 20), bool), np.ones((20, 20), bool)
    assert agreement._different_objects([first, nothing, first.copy(), everything, second]) == [0, 4]


def test_the_grid_keeps_off_the_border(coffee):
    points = agreement.grid_points(coffee, 2)
    assert points[:, 0].tolist() == [[150, 100], [450, 100], [150, 300], [450, 300]]


def test_photos_that_are_not_there_are_named(tmp_path):
    result = run("--photos", tmp_path)
    assert result.exit_code == 1
    assert "no photos here" in result.stderr
