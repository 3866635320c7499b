import pytest

from repvit_sam.distill.recipe import EncoderStage

from .learning import fall, losses_of


@pytest.mark.slow
def test_the_encoder_stage_lowers_its_error_on_windows(photos_folder, teacher):
    stage = EncoderStage(kind="encoder", steps=1, batch=4, window=64, windows=2, learning_rate=2e-3)
    history, _ = losses_of(stage, photos_folder, teacher, steps=16)
    assert fall(history) < 0.7
