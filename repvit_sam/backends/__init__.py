"""Backends run the network: PyTorch, or ONNX Runtime, which needs no torch. ``SamPredictor`` takes any ``Backend``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .protocol import Backend

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

__all__ = ["Backend", "as_backend", "torch_model_of"]


def as_backend(model: Any) -> Backend:
    """A model -> its backend: the model itself if it is one, else PyTorch around a ``Sam``."""
    if hasattr(model, "encode") and hasattr(model, "decode"):
        return model
    from .pytorch import TorchBackend

    return TorchBackend(model)


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
            f"{caller} needs a PyTorch model, got {type(backend).__name__}; call {instead}, which takes any"
        )
    return model
