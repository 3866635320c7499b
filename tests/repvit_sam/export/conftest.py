"""Exports in their less usual forms, made once by the command."""

import pytest
from typer.testing import CliRunner

from repvit_sam.cli import app

from ..conftest import CANVAS


def export(*arguments):
    words = ["export", *map(str, arguments), "--checkpoint", "small", "--canvas", str(CANVAS)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr


@pytest.fixture(scope="session")
def coreml_fp32_folder(tmp_path_factory):
    """Core ML in fp32: the encoder takes the canvas, the decoder upscales its logits."""
    folder = tmp_path_factory.mktemp("coreml_fp32")
    export("coreml", "--tensor", "--upscaled", "--precision", "fp32", "--out", folder)
    return folder


@pytest.fixture(scope="session")
def onnx_picture_folder(tmp_path_factory):
    """ONNX: the encoder takes pixels, the decoder gives one mask."""
    folder = tmp_path_factory.mktemp("onnx_picture")
    export("onnx", "--picture", "--single-mask", "--out", folder)
    return folder
