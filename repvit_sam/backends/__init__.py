"""What computes: PyTorch, or ONNX Runtime where there is no torch. ``SamPredictor`` runs on any ``Backend``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .protocol import Backend

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

__all__ = ["BACKENDS", "Backend", "as_backend", "torch_model_of"]

BACKENDS = ("torch", "onnx")  # what ``load(engine=...)`` takes


def as_backend(model: Any) -> Backend:
    """The backend for a model: itself where it is one, else PyTorch around a ``Sam``."""
    if hasattr(model, "encode") and hasattr(model, "decode"):
        return model
    from .pytorch import TorchBackend

    return TorchBackend(model)


def torch_model_of(backend: Backend, caller: str, instead: str) -> Sam:
    """The PyTorch model of a backend, for what works on tensors only.

    Raises:
        ValueError: this backend has none; the message names the ``caller`` and what to call ``instead``.
    """
    model = getattr(backend, "torch_model", None)
    if model is None:
        raise ValueError(f"{caller} takes tensors and needs a PyTorch model; with this backend call {instead}")
    return model
