"""How much of a stage is done, and its learning rate."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from ..recipe import Stage


def learning_rate_at(progress: float, peak: float, final: float, warmup: float) -> float:
    """A linear rise over the first ``warmup`` of the stage, then a cosine down to ``final`` of the peak."""
    if progress < warmup:
        return peak * progress / warmup
    done = min(1.0, (progress - warmup) / (1 - warmup))
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass
class StageSchedule:
    """How long a stage lasts: a number of steps, or seconds of work (pauses of a run that was stopped do not count).

    Attributes:
        seconds_before: of work before the run was stopped.
    """

    steps: int | None
    seconds: float | None
    seconds_before: float = 0.0

    @classmethod
    def of(cls, stage: Stage, photos: int, seconds_before: float) -> StageSchedule:
        """That of a stage of a recipe on so many photos."""
        steps = stage.steps
        if stage.epochs is not None:
            steps = max(1, round(stage.epochs * photos / stage.batch))
        return cls(steps, None if stage.minutes is None else stage.minutes * 60, seconds_before)

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds_of_work(self) -> float:
        return self.seconds_before + time.monotonic() - self._started

    def progress(self, step: int) -> float:
        """The share of the stage that is done after ``step`` steps; it ends at 1 or more."""
        if self.steps is not None:
            return step / self.steps
        assert self.seconds is not None
        return self.seconds_of_work / self.seconds


class Timer:
    """``due`` is true when so many seconds have passed since the last reset."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.reset()

    @property
    def due(self) -> bool:
        return time.monotonic() - self._since >= self._seconds

    def reset(self) -> None:
        self._since = time.monotonic()
