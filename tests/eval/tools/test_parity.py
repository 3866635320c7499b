import json

import pytest
from typer.testing import CliRunner

from repvit_sam.backends.onnx_runtime import OnnxBackend
from repvit_sam.eval.datasets.coco import CocoFolder
from repvit_sam.eval.tools import parity
from repvit_sam.export import ExportConfig, export_onnx
from repvit_sam.loading import load

from ..discs import disc_folder

CANVAS = 128


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "fp32"
    export_onnx(ExportConfig(checkpoint="small", out=folder, precision="fp32", canvas=CANVAS))
    return folder


@pytest.fixture(scope="module")
def discs(tmp_path_factory, formula_photo):
    return disc_folder(tmp_path_factory.mktemp("data"), formula_photo)


def run(*words):
    app = parity.typer.Typer()
    app.command()(parity.main)
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})


@pytest.mark.slow
def test_an_export_agrees_with_its_checkpoint(export, discs, tmp_path):
    words = ["--data", discs, "--export", export, "--checkpoint", "small", "--canvas", CANVAS]
    result = run(*words, "--json", tmp_path / "parity.json")
    assert result.exit_code == 0, result.output
    assert "small on data" in result.stdout
    torchs, onnxs = json.loads((tmp_path / "parity.json").read_text())
    assert (torchs["engine"], onnxs["engine"]) == ("PyTorch", "fp32")
    assert onnxs["least"] >= 0.999
    assert onnxs["below"] == 0
    assert onnxs["box_miou"] == pytest.approx(torchs["box_miou"], abs=1e-3)
    assert torchs["box_miou"] > 0.6


def test_another_checkpoint_agrees_less(export, discs):
    engines = {"tinyvit": lambda: load("tinyvit_sam", device="cpu", canvas=CANVAS)}
    engines["small"] = lambda: OnnxBackend(export)
    first, second = parity.compare(CocoFolder(discs), engines)
    assert first.agreement == 1
    assert second.least <= second.agreement < 0.999
    assert second.below > 0


def test_data_or_exports_that_are_not_there_are_refused(export, discs, tmp_path):
    words = ["--export", export, "--checkpoint", "small", "--canvas", CANVAS]
    result = run(*words, "--data", discs, "--min-area", 1e6)
    assert result.exit_code == 1
    assert "no instance of that size" in result.stderr
    result = run(*words, "--data", tmp_path)
    assert result.exit_code == 1
    assert "no COCO-format folder" in result.stderr
    result = run("--export", tmp_path, "--data", discs, "--checkpoint", "small", "--canvas", CANVAS)
    assert result.exit_code == 1
    assert "no manifest.json in it" in result.stderr


def test_exports_of_another_network_or_canvas_are_not_compared(export, discs):
    other = run("--export", export, "--data", discs, "--checkpoint", "tinyvit_sam", "--canvas", CANVAS)
    assert other.exit_code == 1
    assert "is no export of tinyvit_sam: give its --checkpoint" in " ".join(other.stderr.split())
    larger = run("--export", export, "--data", discs, "--checkpoint", "small")
    assert larger.exit_code == 1
    assert f"was exported for a canvas of {CANVAS}: give --canvas {CANVAS}" in " ".join(larger.stderr.split())


def test_exports_in_folders_of_one_name_are_all_measured(tmp_path):
    first, second, third = tmp_path / "a" / "onnx", tmp_path / "b" / "onnx", tmp_path / "c"
    assert parity.named([first, second, third]) == {str(first): first, str(second): second, "c": third}
    assert list(parity.named([tmp_path / "PyTorch"])) == [str(tmp_path / "PyTorch")]  # the reference has that name
    with pytest.raises(ValueError, match="--export names a folder twice"):
        parity.named([third, tmp_path / "a" / ".." / "c"])
