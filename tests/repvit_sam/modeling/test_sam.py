import pytest
import torch

import repvit_sam
from repvit_sam.errors import CheckpointError
from repvit_sam.modeling.sam import VARIANTS

SMALL = [variant for variant in VARIANTS if variant not in ("vit_l", "vit_h")]


@pytest.mark.parametrize("variant", SMALL)
def test_every_variant_survives_save_and_load(variant, tmp_path):
    model = repvit_sam.build_repvit_sam(variant)
    expected = model.state_dict()
    for suffix in (".safetensors", ".pt"):
        model.save(tmp_path / f"model{suffix}", provenance={"recipe": "none"})
        again = repvit_sam.load(tmp_path / f"model{suffix}", device="cpu", fuse=False)
        assert again.variant == variant
        for key, value in again.state_dict().items():
            assert torch.equal(value, expected[key]), key
        if suffix == ".safetensors":
            assert again.checkpoint.provenance["recipe"] == "none"


def test_half_precision_rounds_kernels_and_keeps_vectors_and_positions(tmp_path):
    model = repvit_sam.build_repvit_sam("repvit_m0_9")
    model.save(tmp_path / "half.safetensors", half=True)
    again = repvit_sam.load(tmp_path / "half.safetensors", device="cpu", fuse=False).state_dict()
    for key, value in model.state_dict().items():
        rounded = value.ndim > 1 and "positional" not in key
        assert torch.equal(again[key], value.half().float() if rounded else value), key
    whole = sum(value.numel() * 4 for value in again.values())
    assert (tmp_path / "half.safetensors").stat().st_size < 0.52 * whole


@pytest.mark.parametrize("canvas", [256, 512])
def test_another_canvas_moves_the_positional_grid_along(canvas, formula_photo):
    model = repvit_sam.build_repvit_sam("repvit_m0_9", canvas=canvas)
    predictor = repvit_sam.SamPredictor(model)
    predictor.set_image(formula_photo)
    masks, _, logits = predictor.predict([[150, 110]], [1])
    assert model.prompt_encoder.get_dense_pe().shape[-1] == canvas // 16
    assert predictor.features.shape[-1] == canvas // 16
    assert logits.shape == (3, canvas // 4, canvas // 4)
    assert masks.shape == (3, 229, 301)


def test_a_fused_model_is_not_saved(model, tmp_path):
    with pytest.raises(CheckpointError, match="fuse=False"):
        model.save(tmp_path / "x.safetensors")
