"""Opens ONNX Runtime sessions, with the same options everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..canvas import EMBEDDING_STRIDE, LOGITS_STRIDE
from ..errors import CheckpointError, RepVitSamError
from ..prompts import CanvasPrompts

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Session:
    """One ONNX file, ready to run."""

    def __init__(self, session: Any, options: Any) -> None:
        self._session, self._options = session, options

    def run(self, outputs: list[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Named inputs -> the named outputs; what only other outputs need is not computed."""
        return self._session.run(outputs, dict(inputs), self._options)


def open_session(path: Path, device: str = "cpu") -> Session:
    """Open an ONNX file.

    Raises:
        CheckpointError: the file cannot be read.
        ValueError: this ONNX Runtime cannot compute on the device.
        RepVitSamError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise RepVitSamError("engine='onnx' needs onnxruntime: pip install 'repvit-sam[onnx]'") from None
    known = [name for name, provider in _PROVIDERS.items() if provider in onnxruntime.get_available_providers()]
    if device not in known:
        raise ValueError(f"device must be one that this onnxruntime computes on, {', '.join(known)}, got {device!r}")
    session_options = onnxruntime.SessionOptions()
    session_options.log_severity_level = 3  # errors only; its warnings are about its own optimisations
    run_options = onnxruntime.RunOptions()
    run_options.only_execute_path_to_fetches = True
    try:
        session = onnxruntime.InferenceSession(str(path), sess_options=session_options, providers=[_PROVIDERS[device]])
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read by ONNX Runtime: {str(error).splitlines()[0]}") from error
    return Session(session, run_options)


def decoder_feeds(image_embedding: NDArray[Any], prompts: CanvasPrompts) -> dict[str, NDArray[Any]]:
    """Named inputs of an exported decoder, for its outputs low_res_masks and iou_predictions.

    Args:
        image_embedding: (1, 256, S/16, S/16).
        prompts: NumPy arrays.
    """
    coords, labels = prompts.labelled_points()
    low = image_embedding.shape[-1] * EMBEDDING_STRIDE // LOGITS_STRIDE  # S/4
    has_mask = prompts.mask_input is not None
    mask_input = prompts.mask_input if has_mask else np.zeros((1, 1, low, low))
    return {
        "image_embeddings": image_embedding,
        "point_coords": coords,
        "point_labels": labels,
        "mask_input": np.asarray(mask_input, dtype=np.float32),
        "has_mask_input": np.array([float(has_mask)], dtype=np.float32),
        "orig_im_size": np.array([low, low], dtype=np.float32),  # only the output "masks" depends on it
    }
