"""Variant or checkpoint -> an unfused PyTorch model; ``sam_model_registry`` has segment_anything's keys for the same.

Example:
    >>> import repvit_sam
    >>> model = repvit_sam.sam_model_registry["vit_t"](checkpoint="tinyvit_sam")
    >>> model.variant, model.canvas_size
    ('vit_t', 1024)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import torch

from .canvas import CANVAS_SIZE
from .checkpoints import find_checkpoint, load_weights, read_checkpoint
from .device import pick_device
from .errors import CheckpointError
from .modeling.sam import VARIANTS, SamModel, build_network


def build_repvit_sam(
    variant: str = "repvit_m2_3",
    checkpoint: str | os.PathLike[str] | None = None,
    canvas: int | None = None,
    pretrained: bool | str | os.PathLike[str] = False,
    device: str | torch.device = "cpu",
) -> SamModel:
    """Build one model, unfused and in eval mode.

    Args:
        variant: one of ``VARIANTS``.
        checkpoint: weights of this variant, by a name from ``repvit-sam weights list`` or a path; None: random ones.
        canvas: side of the canvas in pixels, a multiple of 64 up to 4096; None takes the checkpoint's, else 1024.
            SAM's ViTs work on 1024 only.
        pretrained: start the image encoder from ImageNet weights (not together with ``checkpoint``). True: timm's,
            which it downloads; a path: a RepViT classifier as timm's train.py or the authors' main.py writes it.
        device: "auto", or a device as torch names it; checked before the file is read.

    Raises:
        CheckpointError: a file cannot be read or holds another variant.
        ValueError: unknown variant, canvas or device.
        ConnectionError: ``pretrained`` weights cannot be downloaded.

    Example:
        >>> import repvit_sam
        >>> model = repvit_sam.build_repvit_sam("repvit_m0_9", canvas=512)
        >>> model.canvas_size, sum(p.numel() for p in model.image_encoder.parameters())
        (512, 5406944)
    """
    if pretrained is not False and checkpoint is not None:
        raise ValueError("give either checkpoint or pretrained, not both")
    chosen = pick_device(device)
    if checkpoint is None:
        model = build_network(variant, CANVAS_SIZE if canvas is None else canvas, pretrained)
    else:
        model = build_from_checkpoint(checkpoint, canvas, variant)
    return model.to(chosen).eval()


def build_from_checkpoint(
    name_or_path: str | os.PathLike[str], canvas: int | None = None, variant: str | None = None
) -> SamModel:
    """The model of a checkpoint, unfused, on the CPU.

    Args:
        canvas: side of the canvas in pixels; None takes the checkpoint's.
        variant: the one the checkpoint must have; None takes any.

    Raises:
        CheckpointError: not on this machine, not a checkpoint, or another variant.
        ValueError: unknown variant, or a canvas size on which it cannot work.
    """
    if variant is not None and variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    checkpoint = read_checkpoint(find_checkpoint(name_or_path))
    if variant not in (None, checkpoint.variant):
        raise CheckpointError(
            f"{checkpoint.path} holds {checkpoint.variant}, not {variant}; build that variant instead"
        )
    model = build_network(checkpoint.variant, checkpoint.canvas_size if canvas is None else canvas)
    load_weights(model, checkpoint)
    model.checkpoint = checkpoint.without_weights()
    return model


# sam_model_registry[key](checkpoint=...), with the keys of segment_anything, MobileSAM and the published RepViT-SAM
sam_model_registry: dict[str, Callable[..., SamModel]] = {
    "default": partial(build_repvit_sam, "vit_h"),
    "repvit": partial(build_repvit_sam, "repvit_m2_3"),
    **{variant: partial(build_repvit_sam, variant) for variant in VARIANTS},
}
