"""The model of a run: a checkpoint and a backend, loaded in the process that uses it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..backends.choice import ENGINES, PRECISIONS, Choice, choose, this_machine
from ..checkpoints import find_checkpoint
from ..device import pick_device
from ..files import sha256_of
from ..loading import load
from ..predictor import SamPredictor
from .computing import Computing


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
        return self.settings_with(self.computing)

    def settings_with(self, computing: Computing) -> dict[str, str]:
        """As ``settings``, where "auto" means ``computing``."""
        precision = {} if computing.precision in ("auto", "fp32") else {"precision": computing.precision}
        return {"checkpoint": self.sha256, "engine": computing.engine, **precision}

    @property
    def computing(self) -> Computing:
        """What "auto" means on this machine.

        Raises:
            ValueError: this machine cannot compute what is named.
        """
        choice = self.choice
        return Computing(choice.engine, self.torch_device.type, choice.precision)

    def on(self, computing: Computing) -> ChosenModel:
        """The same checkpoint with nothing left to choose: a machine that cannot compute like that refuses."""
        return replace(self, engine=computing.engine, device=computing.device, precision=computing.precision)

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
