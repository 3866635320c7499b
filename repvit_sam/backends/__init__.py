"""Backends run the network: PyTorch, or ONNX Runtime, which needs no torch. ``SamPredictor`` takes any ``Backend``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .protocol import Backend

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

__all__ = ["Backend", "as_backend", "torch_model_of"]


def as_backend(model: Any, bit_equal: bool = False) -> Backend:
    """A model -> its backend: the model itself if it is one, else PyTorch around a ``Sam``.

    Args:
        bit_equal: compute with segment_anything's own modules on PyTorch.

    Raises:
        ValueError: ``bit_equal`` for a backend without a PyTorch model.
    """
    is_backend = hasattr(model, "encode") and hasattr(model, "decode")
    if is_backend and not bit_equal:
        return model
    from .pytorch import TorchBackend

    return TorchBackend(
        torch_model_of(model, "bit_equal", "SamPredictor without it") if is_backend else model, bit_equal=bit_equal
    )


def torch_model_of(backend: Backend, caller: str, instead: str) -> Sam:
    """The PyTorch model of a backend, for methods that work on tensors only.

    Args:
        caller: the method, for the error message.
        instead: the method that works on any backend, for the error message.

    Raises:
        ValueError: this backend has no PyTorch model.
    """
    model = getattr(backend, "torch_model", None)
    if model is None:
        raise ValueError(
            f"{caller} needs a PyTorch model, got {type(backend).__name__}; use {instead}, which takes any"
        )
    return model
