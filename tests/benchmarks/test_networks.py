import pytest
import torch
from torch import nn

from repvit_sam.modeling.backbone import randomise_norms

# README.md of THU-MIG/RepViT: parameters in millions and multiply-adds in billions at 224 pixels, of the fused network
PUBLISHED = {
    "repvit_m0_9": (5.1, 0.8),
    "repvit_m1_0": (6.8, 1.1),
    "repvit_m1_1": (8.2, 1.3),
    "repvit_m1_5": (14.0, 2.3),
    "repvit_m2_3": (22.9, 4.5),
}


@pytest.mark.parametrize("variant", PUBLISHED)
def test_a_fused_variant_has_the_published_parameters_and_multiply_adds(variant, module_of):
    counting, networks = module_of("counting"), module_of("networks")
    network = networks.NETWORKS[variant]
    fused = network.fuse(network.build().eval())
    counted = (counting.count_parameters(fused), counting.count_multiply_adds(fused, 224))
    assert (round(counted[0] / 1e6, 1), round(counted[1] / 1e9, 1)) == PUBLISHED[variant]
    assert (network.published.megaparams, network.published.gmacs) == PUBLISHED[variant]


def test_m2_3_counts_to_the_last_parameter(module_of):
    """Before and after fusing, with one head: PUBLISHED figures that were counted in the authors' code."""
    counting, networks = module_of("counting"), module_of("networks")
    network = networks.NETWORKS["repvit_m2_3"]
    built = network.build().eval()
    assert counting.count_parameters(built) == 23_046_512
    assert counting.count_parameters(network.fuse(built)) == 22_926_792


@pytest.mark.parametrize("name", ["repvit_m0_6", "mobilenetv3_large", "tinyvit_5m", "fastvit_t8"])
@torch.no_grad()
def test_networks_that_are_fused_in_different_ways_stay_the_same(name, module_of):
    network = module_of("networks").NETWORKS[name]
    built = network.build().eval()
    randomise_norms(built)
    photos = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    unfused = built(photos)
    fused = network.fuse(built)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert (fused(photos) - unfused).abs().max() < 1e-4 * unfused.abs().max()


def test_multiply_adds_are_those_of_a_convolution_counted_by_hand(module_of):
    convolution = nn.Conv2d(3, 8, 3, stride=2, padding=1)
    assert module_of("counting").count_multiply_adds(convolution, 32) == 16 * 16 * 8 * 3 * 3 * 3
    assert convolution.weight.device.type == "cpu"
