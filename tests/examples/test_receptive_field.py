import pytest
import torch
from timm.layers import SqueezeExcite
from torch import nn

from repvit_sam.modeling.image_encoder import ImageEncoder, fuse_batch_norms


@pytest.fixture
def small_encoder():
    """Two strides of 2, squeeze-and-excitation, a convolution: 3, then 3 * 2, then 3 * 4 pixels."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1), SqueezeExcite(8, 0.5), nn.Conv2d(8, 4, 3, 1, 1)
    ).requires_grad_(False)


def test_the_side_is_that_of_kernels_and_strides(example, small_encoder):
    assert example("receptive_field").side_by_convolutions(small_encoder) == 1 + 2 * 1 + 2 * 2 + 2 * 4


@pytest.mark.parametrize(("variant", "side"), [("repvit_m0_9", 711), ("repvit_m1_1", 647), ("repvit_m2_3", 1447)])
def test_docs_backbone_has_the_sides_of_the_encoders(variant, side, example):
    with torch.device("meta"):
        encoder = ImageEncoder(variant).eval()
    fuse_batch_norms(encoder)
    assert example("receptive_field").side_by_convolutions(encoder) == side


def test_beyond_its_convolutions_a_cell_sees_only_by_squeeze_and_excitation(example, small_encoder):
    program = example("receptive_field")
    canvas = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    side = program.side_by_convolutions(small_encoder)
    free = program.gradient_of_middle(small_encoder, canvas)
    held = program.gradient_of_middle(small_encoder, canvas, frozen_gates=True)
    assert program.share_outside(held, side) == 0
    assert program.share_outside(held, side - 2) > 0  # the square is no larger than it must be
    assert program.share_outside(free, side) > 0
    assert (free > 0).all()
