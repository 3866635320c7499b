import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from repvit_sam.cli import app
from repvit_sam.errors import ExportError, PhotoError
from repvit_sam.export import ExportConfig, export_coreml, export_onnx
from repvit_sam.export import exporting as exporting_module
from repvit_sam.export.verify import Comparison, check
from repvit_sam.files import sha256_of

from ..conftest import CANVAS

SMALL = Path(__file__).parents[3] / "weights" / "repvit_sam_m0_9.safetensors"


def test_the_manifest_tells_what_the_files_take_and_give(onnx_folder, coreml_folder):
    files = json.loads((onnx_folder / "manifest.json").read_text())["files"]
    assert set(files) == {"encoder.onnx", "decoder.onnx"}
    decoder = files["decoder.onnx"]
    assert decoder["checkpoint_sha256"] == sha256_of(SMALL)
    assert decoder["point_labels"]["2"] == "box, top left corner"
    assert (decoder["canvas"], decoder["precision"], decoder["licence"]) == (CANVAS, "fp32", "Apache-2.0")
    assert decoder["verified"]["difference"] < 1e-3
    assert decoder["verified"]["mask_iou"] > 0.99
    coreml = json.loads((coreml_folder / "manifest.json").read_text())["files"]
    assert coreml["decoder.mlpackage"]["prompt_slots"] == 16
    assert [one["name"] for one in coreml["encoder.mlpackage"]["inputs"]] == ["image", "content_hw"]


def test_the_command_says_what_it_does_on_stderr_and_paths_on_stdout(tmp_path):
    arguments = ["export", "onnx", "--checkpoint", "small", "--out", str(tmp_path / "x"), "--part", "decoder"]
    result = CliRunner().invoke(app, [*arguments, "--canvas", "128"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split() == [str(tmp_path / "x" / "decoder.onnx"), str(tmp_path / "x" / "manifest.json")]
    assert "masks agree to IoU" in result.stderr
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["decoder.onnx", "manifest.json"]

    before = (tmp_path / "x" / "decoder.onnx").read_bytes()
    again = CliRunner().invoke(app, [*arguments, "--canvas", "128"])
    assert again.exit_code == 1
    assert "decoder.onnx exists; --force overwrites" in again.stderr
    assert (tmp_path / "x" / "decoder.onnx").read_bytes() == before


def test_a_part_made_later_joins_the_manifest_and_force_replaces_a_package(coreml_folder, tmp_path):
    import shutil

    shutil.copytree(coreml_folder, tmp_path / "phone")
    stale = tmp_path / "phone" / "decoder.mlpackage" / "stale"
    stale.touch()
    wish = ExportConfig(
        checkpoint="small", out=tmp_path / "phone", precision="fp32", canvas=CANVAS, part="decoder", force=True
    )
    export_coreml(wish)
    assert not stale.exists()
    files = json.loads((tmp_path / "phone" / "manifest.json").read_text())["files"]
    assert files["decoder.mlpackage"]["precision"] == "fp32"
    assert files["encoder.mlpackage"]["precision"] == "fp16"
    assert len(list((tmp_path / "phone").iterdir())) == 3


@pytest.mark.parametrize(("option", "part"), [("--single-mask", "decoder"), ("--picture", "encoder")])
def test_the_other_forms_of_a_part_agree_with_pytorch_as_well(option, part, tmp_path):
    arguments = ["export", "onnx", "--checkpoint", "small", "--out", str(tmp_path), "--canvas", "128"]
    result = CliRunner().invoke(app, [*arguments, "--part", part, option])
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / f"{part}.onnx").is_file()


def test_the_command_writes_a_tensor_encoder_and_an_upscaling_decoder(tmp_path):
    arguments = ["export", "coreml", "--checkpoint", "small", "--out", str(tmp_path), "--canvas", "128"]
    result = CliRunner().invoke(app, [*arguments, "--tensor", "--upscaled", "--precision", "fp32"])
    assert result.exit_code == 0, result.stderr
    files = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert [one["name"] for one in files["encoder.mlpackage"]["inputs"]] == ["canvas"]
    assert files["decoder.mlpackage"]["outputs"][-1]["name"] == "logits"


def test_an_export_that_computes_something_else_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting_module, "_compare_onnx", lambda *_: Comparison(0.5, 0.4))
    wish = ExportConfig(checkpoint="small", out=tmp_path, precision="fp32", canvas=128, part="decoder")
    with pytest.raises(ExportError, match="too far for fp32; nothing was written"):
        export_onnx(wish)
    assert list(tmp_path.iterdir()) == []


def test_where_not_everything_can_be_put_in_place_the_old_files_come_back(onnx_folder, tmp_path, monkeypatch):
    import shutil

    folder = Path(shutil.copytree(onnx_folder, tmp_path / "x"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    replace = os.replace

    def in_use(source, target):
        if Path(target) == folder / "decoder.onnx" and not Path(source).name.startswith("old."):
            raise PermissionError("decoder.onnx is in use")
        replace(source, target)

    monkeypatch.setattr(exporting_module.os, "replace", in_use)
    with pytest.raises(PermissionError):
        export_onnx(ExportConfig(checkpoint="small", out=folder, precision="fp16", canvas=CANVAS, force=True))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_export_that_fails_leaves_no_empty_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting_module, "_compare_onnx", lambda *_: Comparison(0.5, 0.4))
    with pytest.raises(ExportError):
        export_onnx(ExportConfig(checkpoint="small", out=tmp_path / "x", precision="fp32", canvas=128, part="decoder"))
    assert not (tmp_path / "x").exists()


def test_what_is_too_large_or_missing_is_refused_before_anything_is_converted(tmp_path):
    with pytest.raises(ValueError, match="canvas must be at most 2048 for Core ML, got 4096"):
        export_coreml(ExportConfig(checkpoint="nothing is read", out=tmp_path / "x", precision="fp16", canvas=4096))
    wish = ExportConfig(checkpoint="nothing is read", out=tmp_path / "x", precision="int8", canvas=128)
    with pytest.raises(PhotoError, match="none is no folder; calibration takes a folder"):
        export_onnx(wish, calibrate=tmp_path / "none")
    assert not (tmp_path / "x").exists()


def test_nan_is_no_agreement():
    with pytest.raises(ExportError, match="NaN"):
        check("encoder.onnx", "int8", Comparison(float(np.nan), 1.0))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"precision": "fp8"}, "precision must be one of fp32, fp16, int8"),
        ({"precision": "int8"}, "--calibrate FOLDER"),
        ({"canvas": 100}, "multiple of 64"),
        ({"checkpoint": "nothing.pt"}, "nothing.pt"),
    ],
)
def test_wrong_wishes_are_refused_in_a_sentence(tmp_path, changes, says):
    wish = ExportConfig(checkpoint="small", out=tmp_path / "out", precision="fp32")
    with pytest.raises(ValueError, match=says):
        export_onnx(replace(wish, **changes))
    assert not (tmp_path / "out").exists()


def test_core_ml_knows_other_precisions_and_a_wrong_part_is_none(tmp_path):
    with pytest.raises(ValueError, match="fp16, fp32, palette8, linear8"):
        export_coreml(ExportConfig(checkpoint="small", out=tmp_path, precision="int8"))
    with pytest.raises(ValueError, match="encoder, decoder, both"):
        ExportConfig(checkpoint="small", out=tmp_path, precision="fp32", part="neck")


def test_a_foreign_manifest_is_not_overwritten(tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(ExportError, match="no manifest of an export"):
        export_onnx(ExportConfig(checkpoint="small", out=tmp_path, precision="fp32", canvas=128, force=True))


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "coremltools", None)
    result = CliRunner().invoke(app, ["export", "coreml", "--checkpoint", "small", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "pip install 'repvit-sam[export]'" in result.stderr


@pytest.mark.slow
@pytest.mark.every_export
@pytest.mark.parametrize("canvas", [512, 768, 1024])
@pytest.mark.parametrize("checkpoint", ["default", "small", "tinyvit_sam"])
def test_every_bundled_checkpoint_passes_its_own_check_in_half_precision(checkpoint, canvas, tmp_path):
    for name, export in (("onnx", export_onnx), ("coreml", export_coreml)):
        export(ExportConfig(checkpoint=checkpoint, out=tmp_path / name, precision="fp16", canvas=canvas))
        files = json.loads((tmp_path / name / "manifest.json").read_text())["files"]
        assert min(one["verified"]["mask_iou"] for one in files.values()) >= 0.99
