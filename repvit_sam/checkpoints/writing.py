"""Weights -> file: safetensors with metadata in the project's key layout, or the key layout that others publish."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..errors import CheckpointError
from ..files import atomic_write
from .key_mapping import Layout, from_own, published_layout_of
from .reading import Checkpoint

FORMAT = "repvit-sam/1"


def save_checkpoint(
    checkpoint: Checkpoint,
    path: str | os.PathLike[str],
    layout: Layout | None = None,
    half: bool = False,
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        checkpoint: the weights, in ``Layout.OWN``.
        path: ``.safetensors``, or ``.pt`` / ``.pth`` for a PyTorch state dict.
        layout: key layout; None takes the project's own for safetensors, and the variant's published one for PyTorch
            files.
        half: store kernels and matrices as fp16. Vectors (norms, biases, and variances, which could become 0) and the
            positional matrix (rounding would move every point) stay float32; they are 1 % of the bytes.

    Raises:
        CheckpointError: unknown suffix, or a key layout that the variant does not have.
    """
    path = Path(path)
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise CheckpointError(f"{path} must end in .safetensors, .pt or .pth")
    if layout is None:
        layout = Layout.OWN if path.suffix == ".safetensors" else published_layout_of(checkpoint.variant)
    state = from_own(checkpoint.state, layout, checkpoint.variant)
    state = {key: _stored(key, value, half) for key, value in state.items()}
    with atomic_write(path) as beside:
        if path.suffix == ".safetensors":
            save_file(state, beside, metadata=_metadata(checkpoint, layout))
        else:
            torch.save(state, beside)


def _stored(key: str, value: Tensor, half: bool) -> Tensor:
    value = value.detach().cpu().contiguous()
    if not value.is_floating_point() or not half:
        return value.clone()  # safetensors refuses tensors that share memory
    keep = value.ndim < 2 or key.endswith("positional_encoding_gaussian_matrix")
    return value.float().clone() if keep else value.half()


def _metadata(checkpoint: Checkpoint, layout: Layout) -> dict[str, str]:
    return {
        **checkpoint.provenance,
        "format": FORMAT,
        "layout": layout.value,
        "variant": checkpoint.variant,
        "canvas": str(checkpoint.canvas_size),
    }
