"""The model of a run: a checkpoint and a backend, loaded in the process that uses it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from ..backends.choice import ENGINES, PRECISIONS, Choice, choose, this_machine
from ..checkpoints import find_checkpoint
from ..device import pick_device
from ..files import sha256_of
from ..loading import load
from ..predictor import SamPredictor


@dataclass(frozen=True)
class ChosenModel:
    """A checkpoint (a known name or a file), or with ``engine="onnx"`` the folder of an export.

    Attributes:
        engine, precision: as in ``repvit_sam.load``.

    Raises:
        ValueError: unknown engine or precision, or the checkpoint is not on this machine.
    """

    checkpoint: str = "default"
    engine: str = "torch"
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        for option, given, known in (("engine", self.engine, ENGINES), ("precision", self.precision, PRECISIONS)):
            if given not in known:
                raise ValueError(f"--{option} must be one of {', '.join(known)}, got {given!r}")
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
        """The model's part of a program's settings: "auto" stands there as what it means on this machine."""
        choice = self.choice
        precision = {} if choice.precision in ("auto", "fp32") else {"precision": choice.precision}
        return {"checkpoint": self.sha256, "engine": choice.engine, **precision}

    @property
    def choice(self) -> Choice:
        """What computes on this machine; an export's precision is that of its files ("auto")."""
        if self.engine == "onnx":
            return Choice("onnx", self.precision, "an export")
        return choose(this_machine(self.torch_device.type), self.engine, self.precision)

    @property
    def torch_device(self) -> torch.device:
        """Where the model computes; OpenVINO and exports on the CPU."""
        return pick_device(self.device) if self.engine in ("torch", "auto") else torch.device("cpu")

    def predictor(self) -> SamPredictor:
        """Load it; under torchrun each process takes the GPU of its local rank."""
        device = self.device
        if device in ("auto", "cuda") and self.engine in ("torch", "auto") and torch.cuda.is_available():
            device = f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"
        return SamPredictor(load(self.checkpoint, device, engine=self.engine, precision=self.precision))

    def _files(self) -> list[Path]:
        if self.engine == "onnx":
            return [Path(self.checkpoint) / name for name in ("encoder.onnx", "decoder.onnx")]
        return [find_checkpoint(self.checkpoint)]
