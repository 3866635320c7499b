"""TensorBoard's curves and pictures, written by the first rank."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import cv2
import torch
from torch.utils.tensorboard import SummaryWriter

from repvit_sam.photo import Photo

_PICTURE_WIDTH = 1024  # of student and teacher side by side


class LossMeans:
    """The mean of each loss over the steps since ``take``."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)
        self._means: dict[str, float] = {}
        self._steps = 0

    def add(self, losses: Mapping[str, float]) -> None:
        """The losses of one step."""
        for name, value in losses.items():
            self._sums[name] += value
        self._steps += 1

    def take(self) -> dict[str, float]:
        """The means, and start again; those of the last time where no step was added since."""
        if self._steps:
            self._means = {name: total / self._steps for name, total in self._sums.items()}
            self._sums.clear()
            self._steps = 0
        return self._means


class MetricLogger:
    """Writes curves of the losses; a silent one (on other ranks) writes nothing.

    Attributes:
        since_validation: means that do not depend on when the curves get their points, which the clock decides.
    """

    def __init__(self, folder: Path, silent: bool) -> None:
        self._writer = None if silent else SummaryWriter(str(folder))
        self._since_write, self.since_validation = LossMeans(), LossMeans()

    def add(self, losses: Mapping[str, float]) -> None:
        """The losses of one step."""
        self._since_write.add(losses)
        self.since_validation.add(losses)

    def write(self, images: int, values: Mapping[str, float]) -> None:
        """Write the means of the losses since the last write, and some values."""
        means = self._since_write.take()
        if self._writer:
            memory = {}
            if torch.cuda.is_available():
                memory["gpu_memory_gib"] = torch.cuda.max_memory_allocated() / 2**30
            for name, value in {**means, **values, **memory}.items():
                self._writer.add_scalar(name, value, images)

    def write_pictures(self, images: int, pictures: Sequence[Photo]) -> None:
        """The student's masks (left) beside the teacher's."""
        for number, picture in enumerate(pictures if self._writer else ()):
            height = round(picture.shape[0] * _PICTURE_WIDTH / picture.shape[1])
            small = cv2.resize(picture, (_PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
            assert self._writer
            self._writer.add_image(f"student_and_teacher/{number}", small, images, dataformats="HWC")

    def __enter__(self) -> MetricLogger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer:
            self._writer.close()
