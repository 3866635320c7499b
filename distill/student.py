"""The student: a model of the library with SAM's decoder from the teacher, started from weights or from nothing."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from repvit_sam.build import build_repvit_sam
from repvit_sam.checkpoints import find_checkpoint, load_weights, read_checkpoint
from repvit_sam.modeling.sam import SamModel

from .recipe import RecipeError, StudentConfig, Trained
from .teacher import norms_in_float32

IMAGENET = "imagenet"  # stands for timm's weights; with ":FILE" behind it, for those of the file


def build_student(config: StudentConfig, teacher: SamModel, canvas_size: int) -> SamModel:
    """A student that can be trained.

    Prompt encoder and mask decoder are the teacher's (SAM's own, in every teacher so far), or the checkpoint's where
    it has them. From nothing, the neck's second half starts from the teacher's weights: a fresh layer norm gives
    outputs of variance 1, a hundred times the teacher's, and the first thousand steps would only undo that.

    Raises:
        CheckpointError: the start is missing, or not a checkpoint.
        RecipeError: it holds another variant.
        ConnectionError: ImageNet weights cannot be fetched.
    """
    imagenet = _imagenet_start(config.start)
    student = build_repvit_sam(config.variant, canvas=canvas_size, pretrained=imagenet)
    student.prompt_encoder.load_state_dict(teacher.prompt_encoder.state_dict())
    student.mask_decoder.load_state_dict(teacher.mask_decoder.state_dict())
    if config.start and imagenet is False:
        checkpoint = read_checkpoint(find_checkpoint(config.start))
        if checkpoint.variant != config.variant:
            raise RecipeError(f"student.start is a {checkpoint.variant}, but student.variant is {config.variant}")
        decoder = {k: v for k, v in student.state_dict().items() if not k.startswith("image_encoder.")}
        load_weights(student, replace(checkpoint, state={**decoder, **checkpoint.state}))
    elif config.neck_from_teacher:
        for mine, theirs in zip(student.image_encoder.neck[1:], teacher.image_encoder.neck[1:], strict=True):
            mine.load_state_dict(theirs.state_dict())
    norms_in_float32(student)
    return student


def _imagenet_start(start: str | None) -> bool | str:
    """What ``build_repvit_sam`` takes as ``pretrained``."""
    name, colon, file = (start or "").partition(":")
    if name != IMAGENET:  # also a path with a drive letter
        return False
    return file if colon else True


def set_trained(student: SamModel, parts: tuple[Trained, ...]) -> None:
    """Train these parts and freeze the rest."""
    modules: dict[Trained, nn.Module] = {
        "encoder": student.image_encoder,
        "prompt_encoder": student.prompt_encoder,
        "decoder": student.mask_decoder,
    }
    for name, module in modules.items():
        module.requires_grad_(name in parts)


def parameter_groups(student: SamModel, weight_decay: float) -> list[dict[str, object]]:
    """Kernels and matrices decay, vectors (norms, biases, tokens' scales) do not."""
    learning = [weight for weight in student.parameters() if weight.requires_grad]
    return [
        {"params": [weight for weight in learning if weight.ndim > 1], "weight_decay": weight_decay},
        {"params": [weight for weight in learning if weight.ndim <= 1], "weight_decay": 0.0},
    ]


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """All parameters and buffers, by name."""
    with torch.no_grad():
        target.load_state_dict(source.state_dict())
