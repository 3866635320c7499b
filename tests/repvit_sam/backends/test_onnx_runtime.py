import json
import pickle
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import repvit_sam
from repvit_sam.errors import CheckpointError, PromptError
from repvit_sam.masks import ALL_MASKS
from repvit_sam.prompts import CanvasPrompts

from ...conftest import PHOTOS
from ..conftest import CUP


@pytest.fixture(scope="module")
def onnx_photo(onnx_folder, coffee):
    predictor = repvit_sam.SamPredictor(repvit_sam.load(onnx_folder, engine="onnx"))
    predictor.set_image(coffee)
    return predictor


def agree(found, expected):
    """Check results of `predict`: the same shapes and types, and the same values but for a few pixels' rounding."""
    for ours, torchs in zip(found, expected, strict=True):
        assert (ours.shape, ours.dtype) == (torchs.shape, torchs.dtype)
    assert np.count_nonzero(found[0] != expected[0]) <= 3
    np.testing.assert_allclose(found[1], expected[1], atol=1e-4)
    np.testing.assert_allclose(found[2], expected[2], atol=1e-2)


@pytest.mark.parametrize("multimask_output", [True, False])
def test_every_kind_of_prompt_gives_pytorchs_masks(small_photo, onnx_photo, prompt, multimask_output):
    found, expected = (one.predict(**prompt, multimask_output=multimask_output) for one in (onnx_photo, small_photo))
    agree(found, expected)


@pytest.mark.parametrize(
    "prompt",
    [
        {"box": [CUP, [0, 0, 90, 80], [5, 5, 300, 300]]},
        {"point_coords": [[[300, 200], [20, 20]]] * 3, "point_labels": [[1, 0], [1, -1], [1, 1]]},
        {"box": np.zeros((0, 4)), "batched": True},
        {},
    ],
    ids=str,
)
def test_batches_of_prompts_and_none_equal_pytorch(small_photo, onnx_photo, prompt):
    agree(onnx_photo.predict(**prompt), small_photo.predict(**prompt))


def test_batches_of_photos_work(onnx_photo, coffee, formula_photo):
    several = repvit_sam.SamPredictor(onnx_photo.model)
    several.set_image_batch([coffee, formula_photo])
    masks, _, _ = several.predict_batch(box_batch=[CUP, [90, 50, 210, 170]], multimask_output=False)
    assert [mask.shape for mask in masks] == [(1, 400, 600), (1, 229, 301)]


def test_embeddings_go_from_one_backend_to_the_other(small, small_photo, onnx_photo, tmp_path):
    small_photo.save_embedding(tmp_path / "torch.safetensors")
    onnx_photo.save_embedding(tmp_path / "onnx.safetensors")
    other = repvit_sam.SamPredictor(onnx_photo.model)
    other.load_embedding(tmp_path / "torch.safetensors")
    np.testing.assert_array_equal(other.features, small_photo.features.numpy())
    back = repvit_sam.SamPredictor(small)
    back.load_embedding(tmp_path / "onnx.safetensors")
    np.testing.assert_array_equal(back.features.numpy(), onnx_photo.features)


def test_without_torch_a_photo_is_segmented(onnx_folder, onnx_photo):
    """In a process where torch, timm, segment_anything and all else that ONNX does without cannot be imported."""
    code = f"""
        import sys

        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {{"torch", "torchvision", "timm", "segment_anything", "pycocotools",
                                          "safetensors", "typer", "rich", "platformdirs", "gradio"}}:
                    raise ImportError(name)

        sys.meta_path.insert(0, Refuse())
        import repvit_sam
        predictor = repvit_sam.SamPredictor(repvit_sam.load({str(onnx_folder)!r}, engine="onnx"))
        predictor.set_image({str(PHOTOS / "coffee.jpg")!r})
        masks, ious, logits = predictor.predict(box={CUP}, multimask_output=False)
        print(masks.sum())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == onnx_photo.predict(box=CUP, multimask_output=False)[0].sum()


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ({"point_coords": [[1, 2]], "point_labels": [7]}, "point_labels must be .*got 7"),
        ({"point_coords": [1, 2], "point_labels": [1]}, "point_coords must have shape"),
        ({"point_coords": [[1, 2]], "point_labels": [1, 0]}, "point_labels"),
        ({"box": [1, 2, 3]}, "box must have shape"),
        ({"mask_input": np.zeros((1, 256, 256))}, "mask_input must have shape"),
    ],
    ids=str,
)
def test_wrong_prompts_are_refused_in_a_sentence(onnx_photo, prompt, says):
    with pytest.raises(PromptError, match=says) as refusal:
        onnx_photo.predict(**prompt)
    assert "\n" not in str(refusal.value)


def test_wrong_arrays_are_refused_before_the_runtime(onnx_photo):
    with pytest.raises(ValueError, match="needs a PyTorch model, got OnnxBackend; use predict"):
        onnx_photo.predict_torch(None, None)
    with pytest.raises(ValueError, match="image embedding must have shape"):
        onnx_photo.model.decode(np.zeros((1, 256, 64, 64), np.float32), CanvasPrompts(), ALL_MASKS)
    with pytest.raises(ValueError, match="canvas must have shape"):
        onnx_photo.model.encode(np.zeros((1, 3, 64, 64), np.float32))


def test_a_folder_that_is_no_export_or_a_damaged_one_is_refused(onnx_folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"no manifest\.json"):
        repvit_sam.load(tmp_path, engine="onnx")
    copy = tmp_path / "copy"
    shutil.copytree(onnx_folder, copy)
    (copy / "decoder.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"has no decoder\.onnx"):
        repvit_sam.load(copy, engine="onnx")
    (copy / "decoder.onnx").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="cannot be read by ONNX Runtime"):
        repvit_sam.load(copy, engine="onnx")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["decoder.onnx"]["checkpoint_sha256"] = "other"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="differ in checkpoint_sha256"):
        repvit_sam.load(copy, engine="onnx")


def test_an_export_for_another_program_is_refused(onnx_folder, tmp_path):
    shutil.copytree(onnx_folder, tmp_path, dirs_exist_ok=True)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["files"]["encoder.onnx"]["inputs"][0]["name"] = "input_image"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="takes input_image, not the normalised canvas; export it without"):
        repvit_sam.load(tmp_path, engine="onnx")


def test_a_pickled_predictor_opens_the_files_again(onnx_photo):
    other = pickle.loads(pickle.dumps(onnx_photo))
    agree(other.predict(box=CUP), onnx_photo.predict(box=CUP))


def test_a_second_look_gives_pytorchs_mask(small_photo, onnx_photo):
    spoon = [395, 95, 575, 145]
    found, expected = (one.predict(box=spoon, multimask_output=False, refine=True) for one in (onnx_photo, small_photo))
    agree(found, expected)


def test_engine_device_and_canvas_must_be_there(onnx_folder):
    with pytest.raises(ValueError, match="engine must be one of torch, onnx"):
        repvit_sam.load(onnx_folder, engine="tensorrt")
    with pytest.raises(ValueError, match="one that this onnxruntime computes on, cpu, got 'tpu'"):
        repvit_sam.load(onnx_folder, engine="onnx", device="tpu")
    with pytest.raises(ValueError, match="exported for a canvas of 256"):
        repvit_sam.load(onnx_folder, engine="onnx", canvas=512)


def test_everything_mode_gives_pytorchs_masks(small, onnx_photo, coffee):
    settings = {"points_per_side": 5, "pred_iou_thresh": 0.7, "stability_score_thresh": 0.8}
    found, expected = (
        repvit_sam.SamAutomaticMaskGenerator(model, **settings).generate(coffee) for model in (onnx_photo.model, small)
    )
    assert len(found) == len(expected) > 5
    for ours, torchs in zip(found, expected, strict=True):
        assert np.count_nonzero(ours["segmentation"] != torchs["segmentation"]) <= 3
        assert ours["predicted_iou"] == pytest.approx(torchs["predicted_iou"], abs=1e-4)
        assert ours["stability_score"] == pytest.approx(torchs["stability_score"], abs=1e-3)
        assert ours["point_coords"] == torchs["point_coords"]
