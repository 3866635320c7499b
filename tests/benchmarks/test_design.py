"""The ten networks from MobileNetV3-L to RepViT-M0.9."""

import pytest
import timm
import torch
from torch import nn

from repvit_sam.modeling.backbone import build_backbone, fuse_children, randomise_norms


@pytest.fixture
def steps(module_of):
    return module_of("design_steps").steps()


@pytest.fixture
def designs(module_of):
    return module_of("design_networks")


@torch.no_grad()
def test_a_step_of_each_kind_computes_and_fuses_to_the_same(designs, steps):
    photos = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for step in (steps[0], steps[1], steps[4], steps[7]):  # MobileNetV3, separate, early convolutions, all with 5x5
        network = designs.DesignNetwork(step.design, classes=10).eval()
        randomise_norms(network)
        unfused = network(photos)
        fuse_children(network)
        assert not any(isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) for module in network.modules()), step.name
        assert (network(photos) - unfused).abs().max() < 1e-5 * max(1, float(unfused.abs().max())), step.name


def test_the_first_is_mobilenet_v3(designs, steps, module_of):
    """timm's, whose norms, squeeze-and-excitation and last layer are the paper's: equal to a thousandth."""
    counting = module_of("counting")
    first, theirs = designs.DesignNetwork(steps[0].design), timm.create_model("mobilenetv3_large_100")
    assert counting.count_parameters(first) == pytest.approx(counting.count_parameters(theirs), rel=1e-3)
    ours, known = (counting.count_multiply_adds(one, 224) for one in (first, theirs))
    assert ours == pytest.approx(known, rel=1e-3)


@torch.no_grad()
def test_the_last_is_repvit_m0_9(designs, steps):
    """With timm's weights, in the order in which both networks have them, it gives timm's logits."""
    theirs = build_backbone("repvit_m0_9").eval()
    randomise_norms(theirs)
    last = designs.DesignNetwork(steps[-1].design).eval()
    weights = [list(network.state_dict().values()) for network in (last, theirs)]
    assert [one.shape for one in weights[0]] == [one.shape for one in weights[1]]
    last.load_state_dict(dict(zip(last.state_dict(), weights[1], strict=True)))
    photos = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(last(photos), theirs(photos), atol=1e-6)


def test_steps_change_what_their_names_say(designs, steps, module_of):
    counting = module_of("counting")
    networks = [designs.DesignNetwork(step.design) for step in steps]
    parameters = [counting.count_parameters(network) for network in networks]
    separate, narrow, wide, early, deep, simple, ratio, small_kernels, cross_block = range(1, 10)
    assert parameters[narrow] < parameters[separate]
    assert parameters[wide] > parameters[narrow]
    assert parameters[deep] > parameters[early]
    assert parameters[simple] < parameters[deep]
    assert parameters[ratio] > parameters[simple]
    kernels = {module.kernel_size[0] for module in networks[small_kernels].modules() if isinstance(module, nn.Conv2d)}
    assert kernels == {1, 3}
    assert sum("se.fc1.weight" in name for name in networks[cross_block].state_dict()) == 10
    assert [step.iphone_ms for step in steps][-1] == 0.87
