"""``load``: a checkpoint's name or path -> a model ready to predict, on PyTorch or ONNX Runtime."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, overload

if TYPE_CHECKING:
    import torch

    from .backends.onnx_runtime import OnnxBackend
    from .modeling.sam import SamModel

BACKENDS = ("torch", "onnx")  # what ``engine=`` may name


@overload
def load(
    name_or_path: str | os.PathLike[str] = ...,
    device: str | torch.device = ...,
    fuse: bool = ...,
    canvas: int | None = ...,
    engine: Literal["torch"] = ...,
) -> SamModel: ...


@overload
def load(
    name_or_path: str | os.PathLike[str],
    device: str = ...,
    fuse: bool = ...,
    canvas: int | None = ...,
    *,
    engine: Literal["onnx"],
) -> OnnxBackend: ...


def load(
    name_or_path: str | os.PathLike[str] = "default",
    device: str | torch.device = "auto",
    fuse: bool = True,
    canvas: int | None = None,
    engine: str = "torch",
) -> SamModel | OnnxBackend:
    """A model ready to predict.

    Args:
        name_or_path: "default", "small", another name from ``repvit-sam weights list``, or the path of a checkpoint
            file in any known key layout; the variant is read from the file. With ``engine="onnx"`` the folder that
            ``repvit-sam export onnx`` wrote.
        device: "auto" takes CUDA, then Apple's MPS, then the CPU; with ``engine="onnx"`` the CPU.
        fuse: fold batch norms into the convolutions (the same masks, faster). False keeps the network trainable. An
            exported model is always fused.
        canvas: side of the canvas in pixels; None takes the checkpoint's. A smaller one is faster and coarser. SAM's
            ViTs work on 1024 only, an exported model on the size it was exported for.
        engine: the backend: "torch", or "onnx", which needs onnxruntime and no torch.

    Returns:
        a model in eval mode, on its device: a ``SamModel``, or with ``engine="onnx"`` a backend; ``SamPredictor`` takes
        both.

    Raises:
        CheckpointError: not on this machine, not a checkpoint, or it does not fit; the message says which key.
        ValueError: the device is not available (checked before the file is read), or the canvas size or the engine is
            not supported.

    Example:
        >>> import repvit_sam
        >>> model = repvit_sam.load("small", device="cpu")
        >>> model.variant, model.canvas_size
        ('repvit_m0_9', 1024)
    """
    if engine not in BACKENDS:
        raise ValueError(f"engine must be one of {', '.join(BACKENDS)}, got {engine!r}")
    if engine == "onnx":
        from .backends.onnx_runtime import OnnxBackend

        return OnnxBackend(name_or_path, device=str(device), canvas=canvas)

    import torch

    from .build import build_from_checkpoint
    from .device import pick_device

    chosen = pick_device(device)
    model = build_from_checkpoint(name_or_path, canvas)
    if fuse:
        model.fuse()
    if chosen.type in ("cpu", "cuda"):
        model.image_encoder.to(memory_format=torch.channels_last)  # a fifth faster on CPUs: benchmarks/encode.py
    return model.to(chosen).eval()
