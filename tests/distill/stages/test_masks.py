import pytest
from PIL import Image

from repvit_sam.distill.recipe import MasksStage

from .learning import fall, gradient_of, losses_of


@pytest.mark.slow
def test_the_masks_stage_brings_masks_nearer_to_the_truth(masks_folder, teacher):
    stage = MasksStage(
        kind="masks", steps=1, batch=2, masks=3, rounds=3, learning_rate=2e-4, freeze_batchnorm=True,
        train=("encoder", "decoder"),
    )  # fmt: skip
    history, losses = losses_of(stage, masks_folder, teacher, steps=16, start="small")
    assert fall(history) < 0.9
    assert 0 < float(losses["iou"]) <= 1


def test_a_blank_photo_costs_nothing(tmp_path, teacher):
    (tmp_path / "blank").mkdir()
    for number in range(2):
        Image.new("RGB", (80, 60), "white").save(tmp_path / "blank" / f"{number}.png")
    stage = MasksStage(kind="masks", steps=1, batch=2)
    learning = gradient_of(stage, tmp_path / "blank", teacher, ["image_encoder", "mask_decoder"])
    assert learning == {"image_encoder": True, "mask_decoder": False}
    decoder_alone = MasksStage(kind="masks", steps=1, batch=2, train=("decoder",))
    learning = gradient_of(decoder_alone, tmp_path / "blank", teacher, ["image_encoder", "mask_decoder"])
    assert learning == {"image_encoder": False, "mask_decoder": True}
