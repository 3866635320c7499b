"""RepViT as its paper publishes it: a classifier for photos of 224 pixels, by the name of a variant.

Wang et al., "RepViT: Revisiting Mobile CNN From ViT Perspective", CVPR 2024, arXiv 2307.09283. The networks are timm's;
M0.6, which the authors released later, is timm's class with the table of THU-MIG/RepViT, model/repvit.py. The image
encoder is the same network without its head and with the last stride at 1: image_encoder.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from timm.models import repvit
from torch import nn

BACKBONE_MULTIPLE = 32  # pixels; the strides of the classifier divide such a side

# timm counts the last block before a downsampling into the next stage, so its depths are one lower than the table's
_M0_6 = partial(repvit.RepVit, embed_dim=(40, 80, 160, 320), depth=(1, 1, 8, 1))
BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "repvit_m0_6": _M0_6,
    "repvit_m0_9": repvit.repvit_m0_9,
    "repvit_m1_0": repvit.repvit_m1_0,
    "repvit_m1_1": repvit.repvit_m1_1,
    "repvit_m1_5": repvit.repvit_m1_5,
    "repvit_m2_3": repvit.repvit_m2_3,
}


def build_backbone(variant: str, num_classes: int = 1000, distillation: bool = False) -> nn.Module:
    """A classifier (B, 3, S, S) -> logits (B, num_classes), with fresh weights, in training mode.

    Args:
        variant: a key of ``BACKBONES``.
        distillation: a second head, which learns the teacher's answers; their mean is the answer in eval mode.

    Raises:
        ValueError: an unknown variant.
    """
    if variant not in BACKBONES:
        raise ValueError(f"unknown backbone {variant!r}; known: {', '.join(BACKBONES)}")
    return BACKBONES[variant](num_classes=num_classes, distillation=distillation)


def fuse_children(module: nn.Module) -> None:
    """Fold batch norms and branches inside a module into one convolution each, in place, for inference.

    What can be folded has a method ``fuse()`` that returns the layer to put in its place, as timm's blocks do.
    """
    for name, child in list(module.named_children()):
        fuse: Any = getattr(child, "fuse", None)
        if fuse:
            setattr(module, name, fuse())
        else:
            fuse_children(child)


@torch.no_grad()
def randomise_norms(network: nn.Module, seed: int = 0) -> None:
    """Give every batch norm scales, shifts and statistics as training leaves them, instead of ones and zeros, in place.

    A fresh RepViT silences each channel mixer by a scale of 0, so that a comparison of two forms of it would not see
    half of its layers.
    """
    chance = torch.Generator().manual_seed(seed)
    for norm in network.modules():
        if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.weight.uniform_(0.5, 1.0, generator=chance)
            norm.bias.normal_(0, 0.1, generator=chance)
            norm.running_mean.normal_(0, 0.1, generator=chance)
            norm.running_var.uniform_(0.5, 1.5, generator=chance)
