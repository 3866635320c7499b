import pytest
import torch

from repvit_sam.build import build_repvit_sam
from repvit_sam.checkpoints.key_mapping import (
    REPVIT_DEPTHS,
    Layout,
    detect_layout,
    detect_variant,
    from_own,
    published_layout_of,
    to_own,
)
from repvit_sam.errors import CheckpointError


@pytest.mark.parametrize("variant", [*REPVIT_DEPTHS, "vit_t", "vit_b"])
def test_every_variant_goes_to_its_published_layout_and_back(variant):
    state = build_repvit_sam(variant).state_dict()
    layout = published_layout_of(variant)
    published = from_own(state, layout, variant)
    assert detect_layout(published) is layout
    back = to_own(published, layout)
    assert list(back) == list(state)
    assert all(back[key] is state[key] for key in state)
    assert detect_variant(back) == variant


def test_an_encoder_alone_goes_out_and_back():
    state = build_repvit_sam("repvit_m0_9").state_dict()
    alone = from_own(state, Layout.ENCODER, "repvit_m0_9")
    assert detect_layout(alone) is Layout.ENCODER
    assert set(to_own(alone, Layout.ENCODER)) == {key for key in state if key.startswith("image_encoder.")}


def test_mobile_sam_gets_the_head_that_its_strict_loading_wants():
    published = from_own(build_repvit_sam("vit_t").state_dict(), Layout.MOBILE_SAM, "vit_t")
    assert published["image_encoder.head.weight"].shape == (1000, 320)
    assert "image_encoder.layers.0.downsample.conv1.c.weight" in published
    assert "image_encoder.patch_embed.seq.0.c.weight" in published


def test_a_layout_that_the_variant_does_not_have_is_refused():
    with pytest.raises(CheckpointError, match="'mobile-sam' does not exist for repvit_m0_9"):
        from_own({"a": torch.zeros(1)}, Layout.MOBILE_SAM, "repvit_m0_9")


@pytest.mark.parametrize("row", ["99999999999.x", "x.w", "3.token_mixer.0.c.weight"])
def test_published_rows_of_no_repvit_are_refused_at_once(row):
    with pytest.raises(CheckpointError, match="no known RepViT"):
        to_own({f"image_encoder.features.{row}": torch.zeros(1)}, Layout.PUBLISHED)


def test_strange_names_have_no_layout():
    assert detect_layout(["conv1.weight", "fc.bias"]) is None
    assert detect_variant({"conv1.weight": torch.zeros(1)}) is None
