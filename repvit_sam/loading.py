"""``load``: a checkpoint's name or path -> a model ready to predict, on PyTorch, OpenVINO or ONNX Runtime."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Literal, overload

from .backends.choice import BACKENDS, Choice, check_names, choose, this_machine

if TYPE_CHECKING:
    import torch

    from .backends.onnx_runtime import OnnxBackend
    from .backends.openvino import OpenVinoBackend
    from .backends.pytorch import TorchBackend
    from .modeling.sam import SamModel

    AnyModel = SamModel | TorchBackend | OpenVinoBackend | OnnxBackend

__all__ = ["BACKENDS", "load"]

_log = logging.getLogger("repvit_sam")


@overload
def load(
    name_or_path: str | os.PathLike[str] = ...,
    device: str | torch.device = ...,
    fuse: bool = ...,
    canvas: int | None = ...,
    engine: Literal["torch"] = ...,
    precision: Literal["auto", "fp32"] = ...,
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


@overload
def load(
    name_or_path: str | os.PathLike[str] = ...,
    device: str | torch.device = ...,
    fuse: bool = ...,
    canvas: int | None = ...,
    engine: str = ...,
    precision: str = ...,
    calibrate: str | os.PathLike[str] | None = ...,
) -> AnyModel: ...


def load(
    name_or_path: str | os.PathLike[str] = "default",
    device: str | torch.device = "auto",
    fuse: bool = True,
    canvas: int | None = None,
    engine: str = "torch",
    precision: str = "auto",
    calibrate: str | os.PathLike[str] | None = None,
) -> AnyModel:
    """A model ready to predict.

    Args:
        name_or_path: "default", "small", another name from ``repvit-sam weights list``, or the path of a checkpoint
            file in any known key layout; the variant is read from the file. With ``engine="onnx"`` the folder that
            ``repvit-sam export onnx`` wrote.
        device: "auto" takes CUDA, then Apple's MPS, then the CPU; with ``engine="onnx"`` and "openvino" the CPU.
        fuse: fold batch norms into the convolutions (the same masks, faster). False keeps the PyTorch network
            trainable. An exported or converted model is always fused.
        canvas: side of the canvas in pixels; None takes the checkpoint's. A smaller one is faster and coarser. SAM's
            ViTs work on 1024 only, an exported model on the size it was exported for.
        engine: what computes. "torch"; "openvino", which computes the image encoder on Intel and AMD processors in half
            of PyTorch's time (pip install 'repvit-sam[openvino]'); "onnx", which needs onnxruntime and no torch; or
            "auto", which takes the fastest that is here, and PyTorch where another fails.
        precision: of the image encoder: "fp32", "bf16" where the processor has it, or "int8" (OpenVINO only). "auto" is
            fp32 for ``engine="torch"``, else bf16 where the processor has it.
        calibrate: for int8, a folder of photographs to measure ranges on; None takes the four of the package.

    Returns:
        a model in eval mode, on its device: a ``SamModel`` with ``engine="torch"`` in fp32, else a backend;
        ``SamPredictor`` and ``SamAutomaticMaskGenerator`` take both.

    Raises:
        CheckpointError: not on this machine, not a checkpoint, or it does not fit; the message says which key.
        RepVitSamError: the engine that is named is not installed, or cannot compute this model.
        ValueError: the device is not available (checked before the file is read), or the canvas size, the engine or the
            precision is not supported.

    Example:
        >>> import repvit_sam
        >>> model = repvit_sam.load("small", device="cpu")
        >>> model.variant, model.canvas_size
        ('repvit_m0_9', 1024)
    """
    check_names(engine, precision)
    if calibrate is not None and precision != "int8":
        raise ValueError(f"calibrate= is for precision='int8', got {precision!r}")
    if engine == "onnx":
        return _load_export(name_or_path, str(device), canvas, precision)

    from .device import pick_device

    chosen = pick_device("cpu" if engine == "openvino" and device == "auto" else device)
    choice = choose(this_machine(chosen.type), engine, precision)
    model = _load_torch(name_or_path, chosen, fuse, canvas)
    if engine == "torch" and choice.precision == "fp32":
        return model
    backend = _on_backend(model, choice, calibrate, may_fall_back=engine == "auto" and choice.precision != "int8")
    _log.info("%s computes: %s", backend.label, choice.reason)
    return backend


def _load_export(folder: str | os.PathLike[str], device: str, canvas: int | None, precision: str) -> OnnxBackend:
    from .backends.onnx_runtime import OnnxBackend

    if precision != "auto":
        raise ValueError(f"an exported model computes as it was exported; leave precision at 'auto', got {precision!r}")
    return OnnxBackend(folder, device=device, canvas=canvas)


def _load_torch(name_or_path: str | os.PathLike[str], device: torch.device, fuse: bool, canvas: int | None) -> SamModel:
    import torch

    from .build import build_from_checkpoint

    model = build_from_checkpoint(name_or_path, canvas)
    if fuse:
        model.fuse()
    if device.type in ("cpu", "cuda"):
        model.image_encoder.to(memory_format=torch.channels_last)  # a fifth faster on CPUs: benchmarks/encode.py
    return model.to(device).eval()


def _on_backend(
    model: SamModel, choice: Choice, calibrate: str | os.PathLike[str] | None, may_fall_back: bool
) -> TorchBackend | OpenVinoBackend:
    """The model on the engine of the choice, or on PyTorch where that fails."""
    from .backends.pytorch import TorchBackend

    if choice.engine == "openvino":
        try:
            from .backends.openvino import OpenVinoBackend
            from .calibration import calibration_photos

            return OpenVinoBackend(model, choice.precision, calibration_photos(calibrate) if calibrate else None)
        except Exception as error:  # whatever it is: "auto" works wherever PyTorch does
            if not may_fall_back:
                raise
            _log.warning("OpenVINO cannot be used, PyTorch computes instead: %s", error)
    return TorchBackend(model, choice.precision)
