"""The order of an export, with an exporter that writes a few bytes instead of a network; and the two real ones."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from repvit_sam.cli import app
from repvit_sam.errors import ExportError
from repvit_sam.export import ExportConfig, export_coreml, export_onnx
from repvit_sam.export.pipeline import run_export
from repvit_sam.export.signatures import Signature
from repvit_sam.export.verify import Comparison

EQUAL, TOO_FAR = Comparison(0.0, 1.0), Comparison(0.5, 0.4)


@dataclass
class FakeExporter:
    precision: str = "fp32"
    comparison: Comparison = EQUAL
    runtime = "fake"
    suffix = ".package"
    max_canvas = 4096

    def precision_of(self, part):
        return self.precision

    def signature(self, part, canvas):
        return Signature((), ())

    def write(self, model, path, metadata):
        path.mkdir()
        (path / "weights").write_text(f"{metadata.part} in {metadata.precision}")

    def compare(self, reference, part, path):
        assert (path / "weights").read_text() == f"{part} in {self.precision}"
        return self.comparison


def run(out, exporter, **settings):
    lines = []
    config = ExportConfig(checkpoint="small", out=out, precision=exporter.precision, canvas=64, **settings)
    return run_export(config, exporter, lines.append), lines


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "x"
    return folder, *run(folder, FakeExporter())


@pytest.fixture
def folder(earlier, tmp_path):
    """A copy of an earlier export."""
    return Path(shutil.copytree(earlier[0], tmp_path / "x"))


def test_each_part_is_converted_compared_and_published_with_a_manifest(earlier):
    folder, paths, lines = earlier
    names = ["encoder.package", "decoder.package", "manifest.json"]
    assert paths == [folder / name for name in names]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert [line.split()[0] for line in lines] == [
        "reading",
        *["converting", "comparing", "encoder.package"],
        *["converting", "comparing", "decoder.package"],
    ]
    assert "masks agree to IoU 1.0000" in lines[-1]


def test_a_part_made_later_joins_the_manifest_and_force_replaces_a_package(folder):
    stale = folder / "decoder.package" / "stale"
    stale.touch()
    run(folder, FakeExporter("fp16"), part="decoder", force=True)
    assert not stale.exists()
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert files["decoder.package"]["precision"] == "fp16"
    assert files["encoder.package"]["precision"] == "fp32"
    assert len(list(folder.iterdir())) == 3


def test_files_that_exist_are_not_overwritten(folder):
    before = contents(folder)
    with pytest.raises(ExportError, match=r"encoder\.package and .*decoder\.package exist; --force overwrites"):
        run(folder, FakeExporter("fp16"))
    with pytest.raises(ExportError, match=r"decoder\.package exists; --force overwrites"):
        run(folder, FakeExporter("fp16"), part="decoder")
    assert contents(folder) == before


@pytest.mark.parametrize("existed", [False, True])
def test_an_export_that_differs_from_pytorch_leaves_nothing(tmp_path, existed):
    if existed:
        (tmp_path / "x").mkdir()
    with pytest.raises(ExportError, match="too far for fp32; nothing was written"):
        run(tmp_path / "x", FakeExporter(comparison=TOO_FAR))
    assert [path.name for path in tmp_path.rglob("*")] == ["x"] * existed


def test_where_not_everything_can_be_put_in_place_the_old_files_come_back(folder, monkeypatch):
    before, rename = contents(folder), os.replace

    def in_use(source, target):
        if Path(target) == folder / "decoder.package" and not Path(source).name.startswith("old."):
            raise PermissionError("decoder.package is in use")
        rename(source, target)

    monkeypatch.setattr(os, "replace", in_use)
    with pytest.raises(PermissionError):
        run(folder, FakeExporter("fp16"), force=True)
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["manifest.json", ""], ids=["a foreign manifest", "a file instead of a folder"])
def test_what_an_export_did_not_write_stays(tmp_path, name):
    (tmp_path / "x").mkdir() if name else None
    foreign = tmp_path / "x" / name
    foreign.write_text('{"name": "a web page"}')
    with pytest.raises(
        ExportError, match="was not written by an export" if name else "is a file; --out takes a folder"
    ):
        run(tmp_path / "x", FakeExporter(), force=True)
    assert foreign.read_text() == '{"name": "a web page"}'


def test_the_command_writes_paths_to_stdout_and_all_else_to_stderr(tmp_path):
    arguments = ["export", "onnx", "--checkpoint", "small", "--out", str(tmp_path / "x"), "--part", "decoder"]
    result = CliRunner().invoke(app, [*arguments, "--canvas", "64"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split() == [str(tmp_path / "x" / "decoder.onnx"), str(tmp_path / "x" / "manifest.json")]
    assert "masks agree to IoU" in result.stderr
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["decoder.onnx", "manifest.json"]

    before = contents(tmp_path / "x")
    again = CliRunner().invoke(app, [*arguments, "--canvas", "64"])
    assert again.exit_code == 1
    assert "decoder.onnx exists; --force overwrites" in again.stderr
    assert contents(tmp_path / "x") == before


@pytest.mark.parametrize(("command", "library"), [("coreml", "coremltools"), ("onnx", "onnxslim")])
def test_a_missing_extra_is_named(tmp_path, monkeypatch, command, library):
    monkeypatch.setitem(sys.modules, library, None)
    result = CliRunner().invoke(app, ["export", command, "--checkpoint", "small", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "pip install 'repvit-sam[export]'" in result.stderr


@pytest.mark.every_export
@pytest.mark.parametrize("canvas", [512, 768, 1024])
@pytest.mark.parametrize("checkpoint", ["repvit_sam_m2_3", "small", "tinyvit_sam"])
def test_every_bundled_checkpoint_passes_its_own_check_in_half_precision(checkpoint, canvas, tmp_path):
    for name, export in (("onnx", export_onnx), ("coreml", export_coreml)):
        export(ExportConfig(checkpoint=checkpoint, out=tmp_path / name, precision="fp16", canvas=canvas))
        files = json.loads((tmp_path / name / "manifest.json").read_text())["files"]
        assert min(one["verified"]["mask_iou"] for one in files.values()) >= 0.99
