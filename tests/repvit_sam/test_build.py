import pytest

import repvit_sam
from repvit_sam.errors import CheckpointError


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
        ({"variant": "repvit_m0_9", "device": "meta"}, "known are cpu"),
        ({"variant": "vit_b", "canvas": 512}, "canvas=1024"),
        ({"variant": "vit_t", "checkpoint": "tinyvit_sam", "pretrained": True}, "not both"),
        ({"variant": "repvit_m0_9", "device": "quantum"}, "not available"),
        ({"variant": "repvit_m0_9", "device": "cuda:99"}, "not available"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        repvit_sam.build_repvit_sam(**arguments)
