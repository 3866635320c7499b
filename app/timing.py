"""How long encoding and decoding take on this server: the median of the last few times, for the page to show."""

from __future__ import annotations

import statistics
import time
from collections import deque

_WINDOW = 20


class MedianLatency:
    """The median of the last 20 durations, in milliseconds. One thread adds; any thread reads."""

    def __init__(self) -> None:
        self._milliseconds: deque[float] = deque(maxlen=_WINDOW)

    def add(self, milliseconds: float) -> None:
        self._milliseconds.append(milliseconds)

    def clear(self) -> None:
        self._milliseconds.clear()

    @property
    def median(self) -> float | None:
        """None before the first duration."""
        values = list(self._milliseconds)  # a copy: another thread may add meanwhile
        return statistics.median(values) if values else None


def milliseconds_since(started: float) -> float:
    """``started``: from ``time.perf_counter()``."""
    return 1000 * (time.perf_counter() - started)
