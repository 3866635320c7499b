"""A teacher: any model of the library, frozen, encoding canvases in bf16 with its norms in float32."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

import repvit_sam
from repvit_sam.modeling.sam import SamModel

# the names that papers use -> names of checkpoints
TEACHERS = {"vit_h": "sam_vit_h", "vit_l": "sam_vit_l", "vit_b": "sam_vit_b", "vit_t": "tinyvit_sam"}


def load_teacher(name_or_path: str, canvas_size: int, device: str | torch.device) -> SamModel:
    """A frozen model: ``vit_h``, ``vit_l``, ``vit_b``, ``vit_t``, a checkpoint name, or a file in any known layout.

    Raises:
        CheckpointError: not on this machine, or not a checkpoint.
        ValueError: a canvas that this teacher cannot work on.
    """
    model = repvit_sam.load(TEACHERS.get(name_or_path, name_or_path), device, canvas=canvas_size)
    norms_in_float32(model)
    return model.requires_grad_(False)


def norms_in_float32(model: nn.Module) -> None:
    """Give every layer norm float32 inputs even under autocast: in bf16 its variance has three digits."""
    for module in model.modules():
        if isinstance(module, (LayerNorm2d, nn.LayerNorm)):
            module.register_forward_pre_hook(_input_to_float32)


def _input_to_float32(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.float() if x.dtype in (torch.bfloat16, torch.float16) else x for x in inputs)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context for ``bf16``, ``fp16`` or ``fp32``."""
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    return torch.autocast(device.type, kinds[precision]) if precision in kinds else contextlib.nullcontext()


def encode(teacher: SamModel, canvas: Tensor, precision: str) -> Tensor:
    """(B, 3, S, S) normalised -> (B, 256, S/16, S/16) float32, without gradients."""
    with torch.no_grad(), autocast(precision, canvas.device):
        return teacher.image_encoder(canvas.contiguous(memory_format=torch.channels_last)).float()
