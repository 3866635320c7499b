import numpy as np
import pytest
import torch

import repvit_sam
from repvit_sam.device import pick_device
from repvit_sam.errors import CheckpointError
from repvit_sam.modeling.sam import VARIANTS

SMALL = [variant for variant in VARIANTS if variant not in ("vit_l", "vit_h")]


@pytest.mark.parametrize("variant", SMALL)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_every_variant_survives_save_and_load(variant, suffix, tmp_path):
    model = repvit_sam.build_repvit_sam(variant)
    model.save(tmp_path / f"model{suffix}", provenance={"recipe": "none"})
    again = repvit_sam.load(tmp_path / f"model{suffix}", device="cpu", fuse=False)
    assert again.variant == variant
    expected = model.state_dict()
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


def test_a_checkpoint_works_on_a_smaller_canvas(coffee):
    predictor = repvit_sam.SamPredictor(repvit_sam.load("tinyvit_sam", "cpu", canvas=512))
    predictor.set_image(coffee)
    assert predictor.features.shape == (1, 256, 32, 32)
    masks, _, _ = predictor.predict(box=[170, 12, 425, 282], multimask_output=False)
    assert 0.3 < masks[0, 12:282, 170:425].mean() < 0.95  # the cup fills its box but for the corners
    with pytest.raises(ValueError, match="multiple of 64"):
        repvit_sam.load("tinyvit_sam", "cpu", canvas=500)


def test_the_canvas_is_kept_in_the_file(tmp_path):
    repvit_sam.build_repvit_sam("repvit_m0_9", canvas=512).save(tmp_path / "small.safetensors")
    assert repvit_sam.load(tmp_path / "small.safetensors", device="cpu").canvas_size == 512


def test_a_fused_model_gives_the_same_masks(predictor, coffee):
    unfused = repvit_sam.SamPredictor(repvit_sam.load("tinyvit_sam", device="cpu", fuse=False))
    unfused.set_image(coffee)
    assert (unfused.features - predictor.features).abs().max() < 1e-4
    ours, theirs = (p.predict(box=[170, 12, 425, 282])[0] for p in (predictor, unfused))
    assert np.count_nonzero(ours != theirs) <= 3


def test_a_fused_model_is_not_saved(model, tmp_path):
    with pytest.raises(CheckpointError, match="fuse=False"):
        model.save(tmp_path / "x.safetensors")


@pytest.mark.parametrize("key", ["repvit", "vit_t", "vit_b", "repvit_m0_9"])
def test_the_registry_builds_like_the_published_one(key):
    model = repvit_sam.sam_model_registry[key]()
    assert not model.training
    assert model.image_encoder.img_size == 1024


def test_the_registry_takes_a_checkpoint_by_name_and_refuses_another_variant():
    model = repvit_sam.sam_model_registry["vit_t"](checkpoint="tinyvit_sam")
    assert model.checkpoint.variant == "vit_t"
    with pytest.raises(CheckpointError, match="holds vit_t, not repvit_m2_3"):
        repvit_sam.sam_model_registry["repvit"](checkpoint="tinyvit_sam")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"variant": "resnet50"}, "unknown variant 'resnet50'"),
        ({"variant": "repvit_m0_9", "canvas": 1000}, "multiple of 64"),
        ({"variant": "repvit_m0_9", "canvas": 0}, "multiple of 64"),
        ({"variant": "repvit_m0_9", "device": "meta"}, "only cpu"),
        ({"variant": "vit_b", "canvas": 512}, "1024 only"),
        ({"variant": "vit_t", "checkpoint": "tinyvit_sam", "pretrained": True}, "not both"),
        ({"variant": "repvit_m0_9", "device": "quantum"}, "not available"),
        ({"variant": "repvit_m0_9", "device": "cuda:99"}, "not available"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        repvit_sam.build_repvit_sam(**arguments)


def test_auto_takes_what_is_there():
    assert pick_device("auto").type in ("cuda", "mps", "cpu")
