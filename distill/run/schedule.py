"""How far a stage is, and the learning rate that belongs there."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


def learning_rate_at(progress: float, peak: float, final: float, warmup: float) -> float:
    """A straight rise over the first ``warmup`` of the stage, then a cosine down to ``final`` of the peak."""
    if progress < warmup:
        return peak * progress / warmup
    done = min(1.0, (progress - warmup) / (1 - warmup))
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass
class Timetable:
    """How long a stage lasts: a number of steps, or seconds of work (pauses of a killed run do not count).

    Attributes:
        seconds_before: of work in earlier sittings.
    """

    steps: int | None
    seconds: float | None
    seconds_before: float = 0.0

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds_of_work(self) -> float:
        return self.seconds_before + time.monotonic() - self._started

    def progress(self, step: int) -> float:
        """The share of the stage that is behind us when ``step`` steps are done: 1 or more ends it."""
        if self.steps is not None:
            return step / self.steps
        assert self.seconds is not None
        return self.seconds_of_work / self.seconds


class Timer:
    """``now`` is true when so many seconds have passed since the last reset."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.reset()

    @property
    def now(self) -> bool:
        return time.monotonic() - self._since >= self._seconds

    def reset(self) -> None:
        self._since = time.monotonic()
