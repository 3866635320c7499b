import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from repvit_sam.distill import plot


def leg(folder, *lines):
    folder.mkdir()
    (folder / "figures.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_legs_follow_each_other_on_the_axis(tmp_path):
    teacher = {"stage": "teacher", "images": 0, "box": 0.7}
    first = leg(tmp_path / "1", teacher, {"stage": "1 encoder", "images": 100, "loss": 2.0, "box": 0.5})
    second = leg(tmp_path / "2", {"stage": "1 prompts", "images": 40, "loss": 1.0, "held_out": 0.4})
    assert [line["images"] for line in plot.read_legs([first, second])] == [100, 140]
    app = plot.typer.Typer()
    app.command()(plot.main)
    result = CliRunner().invoke(app, [str(first), str(second), "--out", str(tmp_path / "curves.png")])
    assert result.exit_code == 0, result.output
    assert Image.open(tmp_path / "curves.png").width > 500


def test_a_folder_without_figures_is_named(tmp_path):
    with pytest.raises(ValueError, match="has no figures"):
        plot.read_legs([tmp_path])
