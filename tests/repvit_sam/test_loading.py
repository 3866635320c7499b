import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import repvit_sam
from repvit_sam.backends.choice import native_bf16_on_cpu

from .conftest import CUP


def test_a_checkpoint_works_on_a_smaller_canvas(coffee):
    predictor = repvit_sam.SamPredictor(repvit_sam.load("tinyvit_sam", "cpu", canvas=512))
    predictor.set_image(coffee)
    assert predictor.features.shape == (1, 256, 32, 32)
    masks, _, _ = predictor.predict(box=CUP, multimask_output=False)
    assert 0.3 < masks[0, 12:282, 170:425].mean() < 0.95  # the cup fills its box but for the corners
    with pytest.raises(ValueError, match="multiple of 64"):
        repvit_sam.load("tinyvit_sam", "cpu", canvas=500)


def test_the_canvas_is_kept_in_the_file(tmp_path):
    repvit_sam.build_repvit_sam("repvit_m0_9", canvas=512).save(tmp_path / "small.safetensors")
    assert repvit_sam.load(tmp_path / "small.safetensors", device="cpu").canvas_size == 512


def test_a_fused_model_gives_the_same_masks(predictor, unfused, coffee):
    reference = repvit_sam.SamPredictor(unfused)
    reference.set_image(coffee)
    assert (reference.features - predictor.features).abs().max() < 1e-4
    ours, theirs = (p.predict(box=CUP)[0] for p in (predictor, reference))
    assert np.count_nonzero(ours != theirs) <= 3


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="engine must be one of torch, onnx, openvino, auto, got 'tensorrt'"):
        repvit_sam.load(engine="tensorrt")


def test_the_default_stays_a_model_that_trains_and_saves():
    model = repvit_sam.load("small", device="cpu", canvas=64)
    assert isinstance(model, repvit_sam.SamModel)
    assert isinstance(repvit_sam.load("small", "cpu", canvas=64, precision="fp32"), repvit_sam.SamModel)


@pytest.mark.skipif(not native_bf16_on_cpu(), reason="this processor has no bf16 of its own")
def test_bf16_on_pytorch_gives_nearly_the_same_embedding(small_photo, coffee, small):
    backend = repvit_sam.load("small", "cpu", canvas=small.canvas_size, engine="torch", precision="bf16")
    assert (backend.label, backend.torch_model.variant) == ("PyTorch bf16", "repvit_m0_9")
    predictor = repvit_sam.SamPredictor(backend)
    predictor.set_image(coffee)
    assert predictor.features.dtype == torch.float32
    error = (predictor.features - small_photo.features).abs().mean() / small_photo.features.abs().mean()
    assert 1e-4 < error < 0.04  # bf16 was used, and is close
    found, expected = (one.predict(box=CUP, multimask_output=False)[0] for one in (predictor, small_photo))
    assert np.count_nonzero(found & expected) / np.count_nonzero(found | expected) > 0.99


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"precision": "fp8"}, "precision must be one of auto, fp32, bf16, int8, got 'fp8'"),
        ({"precision": "int8"}, "needs engine='openvino'"),
        ({"calibrate": "photos"}, "calibrate= is for precision='int8'"),
        ({"engine": "onnx", "precision": "int8"}, "an exported model computes as it was exported"),
        ({"engine": "openvino", "device": "cuda"}, "not available here"),
        ({"engine": "openvino", "precision": "int8", "calibrate": "no/folder"}, "no/folder is not a folder"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(choices, words):
    with pytest.raises(ValueError, match=words):
        repvit_sam.load("small", **{"device": "cpu", "canvas": 64, **choices})


@pytest.mark.slow
def test_no_backend_is_imported_that_is_not_used():
    code = """
import sys, repvit_sam
repvit_sam.load("small", device="cpu", canvas=64)
print([name for name in ("openvino", "nncf", "onnxruntime") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_module_hides_a_public_name():
    """A module load.py would take the place of the function load once anybody imports it."""
    folder = Path(repvit_sam.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert not modules & set(repvit_sam.__all__)
