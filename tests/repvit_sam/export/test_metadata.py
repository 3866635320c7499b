import json
from pathlib import Path

import onnx
import pytest

from repvit_sam.errors import ExportError
from repvit_sam.export.libraries import import_coremltools
from repvit_sam.export.metadata import read_manifest, write_manifest
from repvit_sam.files import sha256_of

from ..conftest import CANVAS

SMALL = Path(__file__).parents[3] / "weights" / "repvit_sam_m0_9.safetensors"


def test_the_manifest_lists_inputs_outputs_and_origin(onnx_folder, coreml_folder, coreml_fp32_folder):
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
    fp32 = json.loads((coreml_fp32_folder / "manifest.json").read_text())["files"]
    assert [one["name"] for one in fp32["encoder.mlpackage"]["inputs"]] == ["canvas"]
    assert fp32["decoder.mlpackage"]["outputs"][-1]["name"] == "logits"


def test_an_onnx_file_lists_the_same_as_the_manifest(onnx_folder):
    model = onnx.load(str(onnx_folder / "decoder.onnx"))
    metadata = {one.key: one.value for one in model.metadata_props}
    entry = read_manifest(onnx_folder / "manifest.json")["files"]["decoder.onnx"]
    for key in ("part", "variant", "precision", "checkpoint", "checkpoint_sha256", "encoder_fingerprint", "licence"):
        assert metadata[key] == entry[key]
    assert json.loads(metadata["point_labels"]) == entry["point_labels"]
    for direction in ("input", "output"):
        for tensor in entry[f"{direction}s"]:
            assert metadata[f"{direction} {tensor['name']}"] == f"{tensor['shape']}: {tensor['meaning']}"


def test_a_core_ml_package_says_what_it_is(coreml_folder):
    model = import_coremltools().models.MLModel(str(coreml_folder / "encoder.mlpackage"), skip_model_load=True)
    spec = model.get_spec()
    (image, content_hw) = spec.description.input
    assert image.type.imageType.width == image.type.imageType.height == CANVAS
    assert image.type.imageType.colorSpace == image.type.imageType.RGB
    assert content_hw.name == "content_hw"
    assert spec.description.output[0].name == "image_embedding"
    assert spec.description.output[0].type.multiArrayType.dataType == 65552  # float16
    assert spec.specificationVersion == 7  # iOS 16
    metadata = model.user_defined_metadata
    assert metadata["checkpoint_sha256"]
    assert metadata["canvas"] == str(CANVAS)
    assert model.license == "Apache-2.0"
    decoder = (
        import_coremltools().models.MLModel(str(coreml_folder / "decoder.mlpackage"), skip_model_load=True).get_spec()
    )
    embedding = decoder.description.input[0]
    assert embedding.type.multiArrayType == spec.description.output[0].type.multiArrayType


def test_a_manifest_keeps_entries_of_other_files(tmp_path):
    write_manifest(
        tmp_path / "a.json", {"encoder.onnx": {"canvas": 64}, "decoder.onnx": {"canvas": 64}}, tmp_path / "no"
    )
    write_manifest(tmp_path / "b.json", {"decoder.onnx": {"canvas": 128}}, earlier=tmp_path / "a.json")
    assert read_manifest(tmp_path / "b.json")["files"] == {
        "encoder.onnx": {"canvas": 64},
        "decoder.onnx": {"canvas": 128},
    }


@pytest.mark.parametrize("text", ["", "[]", '{"format": "another/1"}'])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ExportError, match=r"manifest\.json (cannot be read|was not written by an export)"):
        read_manifest(tmp_path / "manifest.json")
