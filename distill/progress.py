"""Progress, speed and time left: a bar in a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

_SECONDS_BETWEEN_LINES = 30.0


class ProgressBar:
    """``with ProgressBar("training", total) as bar: bar.advance(done, images)``, on stderr; silent on other ranks."""

    def __init__(self, title: str, total: float, silent: bool = False, done: float = 0.0) -> None:
        self._title, self._total, self._silent = title, total, silent
        self._done, self._images, self._done_before = done, 0.0, done
        self._started = self._said = time.monotonic()
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"),
            TextColumn("{task.fields[text]}"), console=console, transient=True, redirect_stdout=False,
            redirect_stderr=False, disable=silent or not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task(title, total=total, text="")

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def images_per_second(self) -> float:
        return self._images / max(time.monotonic() - self._started, 1e-9)

    def advance(self, done: float, images: int, text: str = "") -> None:
        """``done`` of the total, counted from the beginning; ``images`` more since the last call."""
        self._images += images
        done = self._done = min(done, self._total)  # a last step may end after its time
        words = f"{self.images_per_second:.3g} img/s, {self._time_left()} left{', ' + text if text else ''}"
        self._bar.update(self._task, completed=done, text=words)
        now = time.monotonic()
        if self._bar.disable and not self._silent and now - self._said > _SECONDS_BETWEEN_LINES:
            self._said = now
            typer.echo(f"{self._title}: {done / self._total:.0%}, {words}", err=True)

    def print(self, line: str) -> None:
        """A line of its own, above the bar."""
        if not self._silent:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _time_left(self) -> str:
        done_here = max(self._done - self._done_before, 1e-9)
        seconds = (time.monotonic() - self._started) / done_here * (self._total - self._done)
        return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{seconds / 60:.1f} min"
