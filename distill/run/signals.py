"""Stop at the end of a step instead of in the middle of it."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

import typer


class StopSignal:
    """``with StopSignal() as stop:`` notes SIGTERM and Ctrl-C; a second Ctrl-C stops at once.

    Attributes:
        number: of the signal that came, 0 before that.
    """

    def __init__(self, silent: bool = False) -> None:
        self.number = 0
        self._silent = silent
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignal:
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self.number:
            raise KeyboardInterrupt
        self.number = number
        if not self._silent:
            typer.echo("stopping after this step; Ctrl-C again stops at once, without saving", err=True)
