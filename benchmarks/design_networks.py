"""A design of design_steps.py -> the network: MobileNetV3's block, RepViT's, and what stands before and after them.

Layers are timm's where timm has them. The first design computes what timm's MobileNetV3-L does but for its activations,
the last what timm's ``repvit_m0_9`` does (tests/benchmarks/test_design.py).
"""

from __future__ import annotations

from typing import Any

import torch
from design_steps import Design, Row
from timm.layers import SqueezeExcite
from timm.models.repvit import ConvNorm, NormLinear, RepVitStem
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class DesignNetwork(nn.Module):
    """A classifier (B, 3, S, S) -> (B, 1000)."""

    def __init__(self, design: Design, classes: int = 1000) -> None:
        super().__init__()
        stem = RepVitStem if design.early_convolutions else _MobileNetStem
        self.stem = stem(3, design.stem, nn.GELU)
        blocks: list[nn.Module] = []
        width = design.stem
        for row in design.rows:
            blocks.append(_block(width, row, design))
            width = row.width
        self.blocks = nn.Sequential(*blocks)
        self.head: nn.Module = (
            NormLinear(width, classes) if design.simple_classifier else _MobileNetHead(width, classes)
        )

    def forward(self, photos: Tensor) -> Tensor:
        features: Tensor = self.blocks(self.stem(photos))
        if isinstance(self.head, _MobileNetHead):
            features = self.head.expand(features)
        return self.head(features.mean((2, 3)))


def _block(width: int, row: Row, design: Design) -> nn.Module:
    if not design.separate:
        return InvertedBottleneck(width, row)
    if design.deep_downsampling and row.stride == 2:
        return DeepDownsampling(width, row)
    return SeparateBlock(width, row)


class InvertedBottleneck(nn.Module):
    """MobileNetV3's block: 1x1 to more channels, depthwise, squeeze-and-excitation, 1x1 back."""

    def __init__(self, width: int, row: Row) -> None:
        super().__init__()
        expand = [ConvNorm(width, row.hidden), nn.GELU()] if row.hidden != width else []
        self.layers = nn.Sequential(
            *expand,
            _depthwise(row.hidden, row.kernel, row.stride),
            nn.GELU(),
            _squeeze(row.hidden, row.se),
            ConvNorm(row.hidden, row.width),
        )
        self.skip = row.stride == 1 and width == row.width

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skip else self.layers(x)


class SeparateBlock(nn.Module):
    """RepViT's block: depthwise and squeeze-and-excitation mix places, then two 1x1 convolutions mix channels."""

    def __init__(self, width: int, row: Row) -> None:
        super().__init__()
        one = row.stride == 1
        self.token_mixer = RepDepthwise(width, row.kernel) if one else _depthwise(width, row.kernel, row.stride)
        self.se = _squeeze(width, row.se)
        self.channel_mixer = ChannelMixer(width, row.hidden, row.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.channel_mixer(self.se(self.token_mixer(x)))


class DeepDownsampling(nn.Module):
    """RepViT's downsampling: a block, a depthwise convolution of stride 2, a 1x1 convolution, a channel mixer."""

    def __init__(self, width: int, row: Row) -> None:
        super().__init__()
        self.pre_block = SeparateBlock(width, Row(row.kernel, 2 * width, width))
        self.spatial = _depthwise(width, row.kernel, row.stride)
        self.se = _squeeze(width, row.se)
        self.channel = ConvNorm(width, row.width)
        self.channel_mixer = ChannelMixer(row.width, 2 * row.width, row.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.channel_mixer(self.channel(self.se(self.spatial(self.pre_block(x)))))


class ChannelMixer(nn.Module):
    """1x1 to ``hidden`` channels and back, with a skip where the width stays."""

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.conv1, self.act, self.conv2 = ConvNorm(width, hidden), nn.GELU(), ConvNorm(hidden, out)
        self.skip = width == out

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.conv2(self.act(self.conv1(x)))
        return x + mixed if self.skip else mixed


class RepDepthwise(nn.Module):
    """timm's ``RepVggDw`` for any odd kernel: depthwise + depthwise 1x1 + identity, then a batch norm."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = _depthwise(width, kernel, 1)
        self.conv1 = nn.Conv2d(width, width, 1, groups=width)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x) + self.conv1(x) + x)

    @torch.no_grad()
    def fuse(self) -> nn.Conv2d:
        """One depthwise convolution with a bias: a 1x1 kernel and the identity are kernels with one number."""
        fused: nn.Conv2d = self.conv.fuse()
        assert self.conv1.bias is not None
        assert fused.bias is not None
        fused.weight += F.pad(self.conv1.weight + 1, [fused.kernel_size[0] // 2] * 4)
        fused.bias += self.conv1.bias
        return fuse_conv_bn_eval(fused.eval(), self.bn)


class _MobileNetStem(nn.Sequential):
    def __init__(self, channels: int, width: int, activation: type[nn.Module]) -> None:
        super().__init__(ConvNorm(channels, width, 3, 2, 1), activation())


class _MobileNetHead(nn.Module):
    """1x1 to 960 channels before pooling, and a hidden layer of 1280 after it."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(ConvNorm(width, 960), nn.GELU())
        self.classify = nn.Sequential(nn.Linear(960, 1280), nn.GELU(), nn.Linear(1280, classes))

    def forward(self, pooled: Tensor) -> Tensor:
        return self.classify(pooled)


def _depthwise(width: int, kernel: int, stride: int) -> Any:
    return ConvNorm(width, width, kernel, stride, kernel // 2, groups=width)


def _squeeze(width: int, there: bool) -> nn.Module:
    return SqueezeExcite(width, 0.25) if there else nn.Identity()
