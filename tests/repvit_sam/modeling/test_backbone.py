import pytest
import torch
from timm.models import repvit
from torch import nn

from repvit_sam.modeling.backbone import BACKBONES, build_backbone, fuse_children, randomise_norms
from repvit_sam.modeling.image_encoder import TIMM_ENCODERS


@pytest.mark.parametrize("variant", ["repvit_m0_6", "repvit_m0_9", "repvit_m1_0"])  # larger ones have the same blocks
@torch.no_grad()
def test_every_variant_fuses_to_the_same_with_no_norm_left(variant):
    torch.manual_seed(0)
    network = build_backbone(variant, num_classes=10, distillation=True).eval()
    randomise_norms(network)
    photos = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    unfused = network(photos)
    fuse_children(network)
    assert not any(isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) for module in network.modules())
    assert unfused.shape == (2, 10)
    assert unfused.std() > 0.01
    assert (network(photos) - unfused).abs().max() < 1e-5


def test_m0_6_has_the_blocks_of_the_published_table():
    """Rows of a stage, without its pre-block and its downsampling; squeeze-and-excitation in the first, third, ..."""
    network = build_backbone("repvit_m0_6")
    blocks = [[not isinstance(block.se, nn.Identity) for block in stage.blocks] for stage in network.stages]
    assert blocks == [[True], [True], [True, False] * 4, [True]]
    assert [stage.blocks[0].token_mixer.dim for stage in network.stages] == [40, 80, 160, 320]


def test_an_encoder_is_the_backbone_of_its_name():
    for variant in BACKBONES.keys() & TIMM_ENCODERS.keys():
        assert BACKBONES[variant] is getattr(repvit, variant) is TIMM_ENCODERS[variant].build


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match=r"unknown backbone 'repvit_m9'; known: repvit_m0_6, repvit_m0_9"):
        build_backbone("repvit_m9")
