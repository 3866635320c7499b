from dataclasses import replace

import pytest

from repvit_sam.errors import PhotoError
from repvit_sam.export import ExportConfig, export_coreml, export_onnx


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "fp8"}, "precision must be one of fp32, fp16, int8"),
        ({"precision": "int8"}, "--calibrate FOLDER"),
        ({"canvas": 100}, "multiple of 64"),
        ({"checkpoint": "nothing.pt"}, "nothing.pt"),
        ({"part": "neck"}, "part must be one of encoder, decoder, both, got 'neck'"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(tmp_path, changes, message):
    config = ExportConfig(checkpoint="small", out=tmp_path / "out", precision="fp32")
    with pytest.raises(ValueError, match=message):
        export_onnx(replace(config, **changes))
    assert not (tmp_path / "out").exists()


def test_core_ml_has_other_precisions(tmp_path):
    with pytest.raises(ValueError, match="fp16, fp32, palette8, linear8"):
        export_coreml(ExportConfig(checkpoint="small", out=tmp_path, precision="int8"))


def test_bad_canvas_and_calibration_are_refused_before_the_checkpoint_is_read(tmp_path):
    config = ExportConfig(checkpoint="not a checkpoint", out=tmp_path / "x", precision="fp16", canvas=4096)
    with pytest.raises(ValueError, match="canvas must be at most 2048 for coreml, got 4096"):
        export_coreml(config)
    with pytest.raises(PhotoError, match="none is not a folder; calibration takes a folder"):
        export_onnx(replace(config, precision="int8", canvas=128), calibrate=tmp_path / "none")
    with pytest.raises(ValueError, match="leave --picture out"):
        export_onnx(replace(config, precision="int8", canvas=128), picture=True)
    with pytest.raises(ValueError, match="convention must be one of samexporter, osam, got 'labelme'"):
        export_onnx(replace(config, canvas=128), convention="labelme")
    with pytest.raises(ValueError, match="leave --picture out"):
        export_onnx(replace(config, canvas=None), picture=True, convention="osam")
    with pytest.raises(ValueError, match="convention='osam' is for a canvas of 1024, got 128"):
        export_onnx(replace(config, canvas=128), convention="osam")
    assert not (tmp_path / "x").exists()
