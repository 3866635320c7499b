"""What computes: PyTorch, or ONNX Runtime where there is no torch. One protocol, ``SamPredictor`` on either."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, overload

from .protocol import Engine

if TYPE_CHECKING:
    import torch

    from ..model import SamModel
    from .onnx_runtime import OnnxModel

__all__ = ["ENGINES", "Engine", "engine_of", "load"]

ENGINES = ("torch", "onnx")


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
) -> OnnxModel: ...


def load(
    name_or_path: str | os.PathLike[str] = "default",
    device: str | torch.device = "auto",
    fuse: bool = True,
    canvas: int | None = None,
    engine: str = "torch",
) -> SamModel | OnnxModel:
    """A model ready to predict.

    Args:
        name_or_path: "default", "small", a name of the catalogue (``repvit-sam weights list``), or the path of a
            checkpoint in any known layout; the variant is read off the file. With ``engine="onnx"`` the folder that
            ``repvit-sam export onnx`` wrote.
        device: "auto" takes CUDA, then Apple's MPS, then the CPU.
        fuse: fold batch norms (the same masks, faster). False keeps the network trainable. An export is fused already.
        canvas: side of the canvas in pixels; None takes the checkpoint's. A smaller one is faster and coarser; SAM's
            ViTs know 1024 only, an export the one it was made for.
        engine: "torch", or "onnx", which needs onnxruntime and no torch.

    Raises:
        CheckpointError: not on this machine, not a checkpoint, or it does not fit; the message says which key.
        ValueError: the device is not there, or the canvas or the engine is none.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if engine == "onnx":
        from .onnx_runtime import OnnxModel

        return OnnxModel(name_or_path, device=str(device), canvas=canvas)
    from ..model import load as load_torch

    return load_torch(name_or_path, device, fuse, canvas)


def engine_of(model: Any) -> Engine:
    """The engine for a model: itself where it is one, else a PyTorch engine around a ``Sam``."""
    if hasattr(model, "encode") and hasattr(model, "decode"):
        return model
    from .pytorch import TorchEngine

    return TorchEngine(model)
