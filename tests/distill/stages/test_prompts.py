import pytest

from repvit_sam.distill.recipe import PromptsStage

from .learning import fall, gradient_of, losses_of


@pytest.mark.slow
def test_the_prompts_stage_brings_masks_nearer_to_the_teachers(photos_folder, teacher):
    stage = PromptsStage(
        kind="prompts", steps=1, batch=2, prompts=4, rounds=2, learning_rate=3e-4, freeze_batchnorm=True
    )
    history, losses = losses_of(stage, photos_folder, teacher, steps=20, start="small")
    assert fall(history) < 0.9
    assert 0 < float(losses["agreement"]) <= 1


@pytest.mark.parametrize("trained", [("encoder",), ("decoder",), ("encoder", "prompt_encoder", "decoder")])
def test_only_the_parts_that_the_recipe_names_learn(trained, photos_folder, teacher):
    stage = PromptsStage(kind="prompts", steps=1, batch=2, prompts=2, rounds=2, train=trained)
    learning = gradient_of(stage, photos_folder, teacher, ["image_encoder", "prompt_encoder", "mask_decoder"])
    assert learning == {
        "image_encoder": "encoder" in trained,
        "prompt_encoder": "prompt_encoder" in trained,
        "mask_decoder": "decoder" in trained,
    }


def test_the_same_position_makes_the_same_prompts(photos_folder, teacher):
    stage = PromptsStage(kind="prompts", steps=1, batch=2, prompts=3, learning_rate=1e-9)
    first, _ = losses_of(stage, photos_folder, teacher, steps=1, start="small")
    again, _ = losses_of(stage, photos_folder, teacher, steps=1, start="small")
    other, _ = losses_of(stage, photos_folder, teacher, steps=1, start="small", seed=5)
    assert first == again
    assert first != other
