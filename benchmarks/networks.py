"""The networks of benchmarks/backbones.py: RepViT's variants, their neighbours, and what is published of each.

Published figures are of photos of 224 pixels. RepViT: README.md of THU-MIG/RepViT, equal to table 1 of its paper
(arXiv 2307.09283); M0.6 from its news of 2023-12-11, without parameters and multiply-adds. Milliseconds are of an
iPhone 12 with iOS 16, Core ML, batch 1, as the RepViT paper measured them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import timm
from timm.utils.model import reparameterize_model
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from repvit_sam.modeling.backbone import build_backbone, fuse_children


@dataclass(frozen=True)
class Published:
    """What the authors say.

    Attributes:
        megaparams: millions of parameters of the network in use, that is fused.
        gmacs: billions of multiply-adds.
        top1: on ImageNet, percent; for RepViT after 300 / 450 epochs, with a teacher.
        iphone_ms: milliseconds on an iPhone 12.
        source: where it is said.
    """

    megaparams: float | None = None
    gmacs: float | None = None
    top1: str = ""
    iphone_ms: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Network:
    """One row.

    Attributes:
        build: -> the network as it is trained, with one head of 1000 classes.
        fuse: the network in eval mode -> the same folded; the one given may be changed.
        published: what the authors say of it.
    """

    build: Callable[[], nn.Module]
    fuse: Callable[[nn.Module], nn.Module]
    published: Published


def fuse_in_place(network: nn.Module) -> nn.Module:
    """By the blocks' own ``fuse()``."""
    fuse_children(network)
    return network


def fuse_pairs(network: nn.Module) -> nn.Module:
    """Fold each norm into the convolution before it in the same block, for blocks without a ``fuse()``; in place.

    timm's norms may have an activation inside, which stays.
    """
    for parent in list(network.modules()):
        before: tuple[str, nn.Conv2d] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and before is not None:
                setattr(parent, before[0], fuse_conv_bn_eval(before[1], child))
                setattr(parent, name, getattr(child, "act", nn.Identity()))
            before = (name, child) if isinstance(child, nn.Conv2d) else None
    return network


def fuse_fastvit(network: nn.Module) -> nn.Module:
    """By timm's function, which returns a copy and leaves the norms of channel mixers, and those as pairs."""
    return fuse_pairs(reparameterize_model(network))


_REPVIT = "github.com/THU-MIG/RepViT"


def _repvit(variant: str, published: Published) -> Network:
    return Network(partial(build_backbone, variant), fuse_in_place, published)


NETWORKS: dict[str, Network] = {
    "repvit_m0_6": _repvit("repvit_m0_6", Published(None, None, "74.1", 0.6, _REPVIT)),
    "repvit_m0_9": _repvit("repvit_m0_9", Published(5.1, 0.8, "78.7 / 79.1", 0.9, _REPVIT)),
    "repvit_m1_0": _repvit("repvit_m1_0", Published(6.8, 1.1, "80.0 / 80.3", 1.0, _REPVIT)),
    "repvit_m1_1": _repvit("repvit_m1_1", Published(8.2, 1.3, "80.7 / 81.2", 1.1, _REPVIT)),
    "repvit_m1_5": _repvit("repvit_m1_5", Published(14.0, 2.3, "82.3 / 82.5", 1.5, _REPVIT)),
    "repvit_m2_3": _repvit("repvit_m2_3", Published(22.9, 4.5, "83.3 / 83.7", 2.3, _REPVIT)),
    "mobilenetv3_large": Network(
        partial(timm.create_model, "mobilenetv3_large_100"),
        fuse_pairs,
        # parameters, multiply-adds, top-1: table 3 of its paper; milliseconds, with GELU: RepViT's paper, section 3.1
        Published(5.4, 0.22, "75.2", 1.01, "arXiv 1905.02244"),
    ),
    "tinyvit_5m": Network(
        partial(timm.create_model, "tiny_vit_5m_224", num_classes=1000),  # its weights on timm's hub have 21841
        fuse_in_place,
        Published(5.4, 1.3, "79.1", None, "arXiv 2207.10666"),
    ),
    "fastvit_t8": Network(
        partial(timm.create_model, "fastvit_t8"),
        fuse_fastvit,
        Published(3.6, 0.7, "76.7", 0.9, "arXiv 2303.14189; as RepViT's table 1 has it"),
    ),
}
