"""Opens ONNX Runtime sessions, with the same options everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError, RepVitSamError

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
