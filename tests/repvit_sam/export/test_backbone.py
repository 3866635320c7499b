"""The classifier for timing, by the command, on a small picture."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from repvit_sam.backends.onnx_session import open_session
from repvit_sam.cli import app
from repvit_sam.export import backbone
from repvit_sam.export.coreml_runtime.model import CoreMLBackbone

SMALL = ("--part", "backbone", "--variant", "repvit_m0_6", "--canvas", "64")


def run(*words):
    return CliRunner().invoke(app, ["export", *map(str, words)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Core ML in fp16 and ONNX in fp32 in one folder."""
    out = tmp_path_factory.mktemp("backbone")
    for runtime in ("coreml", "onnx"):
        result = run(runtime, *SMALL, "--out", out)
        assert result.exit_code == 0, result.stderr
        assert "of the largest logit" in result.stderr
    return out


def test_the_manifest_says_what_was_compared(folder):
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert sorted(files) == ["backbone.mlpackage", "backbone.onnx"]
    assert [files[name]["precision"] for name in sorted(files)] == ["fp16", "fp32"]
    assert all(entry["variant"] == "repvit_m0_6" and entry["canvas"] == 64 for entry in files.values())
    assert 0 < files["backbone.mlpackage"]["verified"]["difference"] < 2e-2
    assert files["backbone.onnx"]["verified"]["difference"] < 1e-3
    assert "point_labels" not in files["backbone.onnx"] or files["backbone.onnx"]["point_labels"] == {}


def test_both_files_give_the_logits_of_the_same_fused_network(folder, coffee):
    picture = coffee[:64, :64]
    pixels = picture.transpose(2, 0, 1)[None].astype(np.float32)
    network = backbone._fused_network("repvit_m0_6")
    own = network(torch.from_numpy(pixels)).numpy()
    by_coreml = CoreMLBackbone(folder / "backbone.mlpackage").classify(picture)
    (by_onnx,) = open_session(folder / "backbone.onnx").run(["logits"], {"image": pixels})
    assert by_coreml.shape == by_onnx.shape == own.shape == (1, 1000)
    assert np.abs(by_onnx - own).max() < 1e-3 * np.abs(own).max()
    assert np.abs(by_coreml - own).max() < 2e-2 * np.abs(own).max()


def test_nothing_of_training_is_left_in_the_package(folder):
    from coremltools.models import MLModel

    spec = MLModel(str(folder / "backbone.mlpackage"), skip_model_load=True).get_spec()
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    kinds = [operation.type for operation in block.operations]
    assert "batch_norm" not in kinds
    # stem 2, 7 squeeze-and-excitations of 2, 14 blocks of 3, 3 downsamplings of 4
    assert kinds.count("conv") == 2 + 7 * 2 + 14 * 3 + 3 * 4
    assert spec.description.input[0].type.WhichOneof("Type") == "imageType"
    assert spec.description.metadata.shortDescription.startswith("RepViT classifier of fresh weights, for timing")


def test_a_file_that_differs_is_not_written(tmp_path, monkeypatch):
    honest = backbone._write_onnx

    def other_weights(network, path, metadata):
        network.head.bias += 1
        honest(network, path, metadata)
        network.head.bias -= 1

    monkeypatch.setattr(backbone, "_write_onnx", other_weights)
    result = run("onnx", *SMALL, "--out", tmp_path / "x")
    assert result.exit_code == 1
    assert "too far for fp32; nothing was written" in result.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["coreml", *SMALL[:4], "--canvas", "100"], "multiple of 32 up to 4096 for a backbone, got 100"),
        (["coreml", *SMALL, "--variant", "repvit_m9"], "variant must be one of repvit_m0_6, repvit_m0_9"),
        (["coreml", *SMALL, "--precision", "palette8"], "precision must be one of fp16, fp32, got 'palette8'"),
        (["coreml", *SMALL, "--checkpoint", "small"], "leave --checkpoint out"),
        (["onnx", *SMALL, "--picture"], "leave --picture out"),
        (["onnx", "--variant", "repvit_m0_9"], "--variant is for --part backbone"),
        (["coreml", "--variant", "repvit_m0_9"], "--variant is for --part backbone"),
    ],
)
def test_wrong_words_are_refused_in_a_sentence(words, message, tmp_path):
    result = run(*words, "--out", tmp_path / "x")
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "x").exists()


def test_files_are_not_overwritten_unless_forced(folder):
    result = run("onnx", *SMALL, "--out", folder)
    assert result.exit_code == 1
    assert "--force overwrites" in result.stderr
