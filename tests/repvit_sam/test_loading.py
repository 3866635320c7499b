from pathlib import Path

import numpy as np
import pytest

import repvit_sam

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
    with pytest.raises(ValueError, match="engine must be one of torch, onnx, got 'tensorrt'"):
        repvit_sam.load(engine="tensorrt")


def test_no_module_hides_a_public_name():
    """A module load.py would take the place of the function load once anybody imports it."""
    folder = Path(repvit_sam.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert not modules & set(repvit_sam.__all__)
