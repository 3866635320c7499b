"""The model that is evaluated: a checkpoint and a backend, loaded in the process that uses it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

import repvit_sam
from repvit_sam.checkpoints import find_checkpoint
from repvit_sam.files import sha256_of
from repvit_sam.loading import BACKENDS


@dataclass(frozen=True)
class EvaluatedModel:
    """A checkpoint (a known name or a file), or with ``engine="onnx"`` the folder of an export.

    Raises:
        ValueError: unknown engine, or the checkpoint is not on this machine.
    """

    checkpoint: str = "default"
    engine: str = "torch"
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.engine not in BACKENDS:
            raise ValueError(f"--engine must be one of {', '.join(BACKENDS)}, got {self.engine!r}")
        missing = [path for path in self._files() if not path.is_file()]
        if missing:
            expected = "the folder of an export" if self.engine == "onnx" else "a known name or a file"
            raise ValueError(f"{missing[0]} is missing; --checkpoint takes {expected}")

    @property
    def name(self) -> str:
        """For tables: the checkpoint's name, or that of its file."""
        return Path(self.checkpoint).stem if os.sep in self.checkpoint else self.checkpoint

    @property
    def sha256(self) -> str:
        """Of the checkpoint's file; for an export those of both files, joined by +."""
        return "+".join(sha256_of(path) for path in self._files())

    @property
    def settings(self) -> dict[str, str]:
        """The model's part of a program's settings."""
        return {"checkpoint": self.sha256, "engine": self.engine}

    def predictor(self) -> repvit_sam.SamPredictor:
        """Load it; under torchrun each process takes the GPU of its local rank."""
        device = self.device
        if device in ("auto", "cuda") and self.engine == "torch" and torch.cuda.is_available():
            device = f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"
        if self.engine == "onnx":
            return repvit_sam.SamPredictor(repvit_sam.load(self.checkpoint, device, engine="onnx"))
        return repvit_sam.SamPredictor(repvit_sam.load(self.checkpoint, device))

    def _files(self) -> list[Path]:
        if self.engine == "onnx":
            return [Path(self.checkpoint) / name for name in ("encoder.onnx", "decoder.onnx")]
        return [find_checkpoint(self.checkpoint)]
