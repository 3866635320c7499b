"""Canvas -> image embedding: (B, 3, S, S) -> (B, 256, S/16, S/16).

Two families, both timm's networks followed by SAM's neck:

* RepViT (Wang et al., "RepViT: Revisiting Mobile CNN From ViT Perspective", arXiv 2307.09283), as RepViT-SAM uses it
  (arXiv 2312.05760): the last downsampling keeps stride 1, so that the grid is 1/16 of the canvas as ViT-H's is.
* TinyViT-5M as in MobileSAM (Zhang et al., arXiv 2306.14289), with the same change.

SAM's own ViTs come from segment_anything (see sam.py). Parameter names are timm's below ``body`` and SAM's below
``neck``; checkpoints/key_mapping.py maps them to those of published files.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from segment_anything.modeling.common import LayerNorm2d
from timm.models import repvit, tiny_vit
from torch import Tensor, nn

from ..canvas import CANVAS_SIZE, EMBEDDING_CHANNELS, check_canvas_size
from ..checkpoints import load_backbone
from .backbone import BACKBONES, fuse_children

Pretrained = bool | str | os.PathLike[str]  # whether, or from which file, an encoder starts from ImageNet weights


@dataclass(frozen=True)
class TimmEncoder:
    """How a timm network becomes a SAM image encoder."""

    build: Callable[..., nn.Module]
    last_stride_conv: str  # the convolution that downsamples into the last stage; its stride becomes 1


_REPVIT_CONV = "stages.3.downsample.spatial_downsample.c"
TIMM_ENCODERS: dict[str, TimmEncoder] = {
    "repvit_m0_9": TimmEncoder(repvit.repvit_m0_9, _REPVIT_CONV),
    "repvit_m1_0": TimmEncoder(repvit.repvit_m1_0, _REPVIT_CONV),
    "repvit_m1_1": TimmEncoder(repvit.repvit_m1_1, _REPVIT_CONV),
    "repvit_m1_5": TimmEncoder(repvit.repvit_m1_5, _REPVIT_CONV),
    "repvit_m2_3": TimmEncoder(repvit.repvit_m2_3, _REPVIT_CONV),
    "vit_t": TimmEncoder(tiny_vit.tiny_vit_5m_224, "stages.3.downsample.conv2.conv"),
}


class ImageEncoder(nn.Module):
    """A timm network, then SAM's neck.

    Args:
        variant: a key of ``TIMM_ENCODERS``.
        canvas_size: side of the canvas in pixels, a multiple of 64 up to 4096; the weights do not depend on it.
        pretrained: start from ImageNet weights. True: timm's, which it downloads from its hub; a path: a classifier of
            the same RepViT, as timm's train.py or the authors' main.py writes it.

    Raises:
        ValueError: an unknown variant, an unsupported canvas size, or a file for another family than RepViT.
        CheckpointError: the file holds no such classifier.
        ConnectionError: timm's weights cannot be downloaded.
    """

    def __init__(self, variant: str, canvas_size: int = CANVAS_SIZE, pretrained: Pretrained = False) -> None:
        super().__init__()
        if variant not in TIMM_ENCODERS:
            raise ValueError(f"unknown image encoder {variant!r}; known: {', '.join(TIMM_ENCODERS)}")
        check_canvas_size(canvas_size)
        self.fingerprint_before_fusing: str | None = None  # see embedding.encoder_fingerprint
        self.img_size = canvas_size  # the name that segment_anything's predictor and Sam read
        body: Any = _build_body(variant, pretrained)
        self.body = body
        stride_conv = self.body.get_submodule(TIMM_ENCODERS[variant].last_stride_conv)
        assert isinstance(stride_conv, nn.Conv2d)
        stride_conv.stride = (1, 1)  # 2 in the classifier, whose grid would be 1/32 of the canvas
        self.neck = build_neck(body.num_features)

    def forward(self, canvas: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, 256, S/16, S/16)"""
        body: Any = self.body  # a timm network
        features: Tensor = body.forward_features(canvas)
        return self.neck(features)


def build_neck(channels: int) -> nn.Sequential:
    """SAM's neck: 1x1 and 3x3 convolution without bias, a LayerNorm2d (eps 1e-6) after each."""
    return nn.Sequential(
        nn.Conv2d(channels, EMBEDDING_CHANNELS, kernel_size=1, bias=False),
        LayerNorm2d(EMBEDDING_CHANNELS),
        nn.Conv2d(EMBEDDING_CHANNELS, EMBEDDING_CHANNELS, kernel_size=3, padding=1, bias=False),
        LayerNorm2d(EMBEDDING_CHANNELS),
    )


def fuse_batch_norms(encoder: ImageEncoder) -> None:
    """Fold every batch norm and every RepVGG branch into one convolution, in place, for inference.

    The result stays the same (to 1e-4 on embeddings of standard deviation 1); a fused network cannot be trained
    further.
    """
    fuse_children(encoder.body)


def _build_body(variant: str, pretrained: Pretrained) -> nn.Module:
    family, from_hub = TIMM_ENCODERS[variant], pretrained is True
    try:
        body = family.build(pretrained=from_hub, num_classes=0)
    except Exception as error:
        if not from_hub:
            raise
        raise ConnectionError(
            f"timm cannot download the ImageNet weights of {variant} ({type(error).__name__}: {error}); "
            "connect to the internet once, or build with pretrained=False and load a checkpoint"
        ) from error
    body.head = nn.Identity()  # TinyViT's head has a norm even without classes
    if not isinstance(pretrained, bool):
        if variant not in BACKBONES:
            raise ValueError(f"pretrained takes a file for a RepViT, got one for {variant}; use pretrained=True")
        load_backbone(body, variant, pretrained)
    return body
