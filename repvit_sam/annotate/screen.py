"""What a person sees of a run: a bar on a terminal, a line a minute in a log, and a summary at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import typer
from rich.progress import Progress, TaskID

from ..console import counting_bar
from .results import FAILED
from .run import Outcome
from .state import State

_EVERY = 0.5  # seconds between looks at what is done
_LOG_EVERY = 60.0  # seconds between lines where there is no terminal


class ConsoleScreen:
    """Writes to stderr."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def listed(self, images: int) -> None:
        """A line for every hundred thousand images: listing a million takes a minute."""
        if images % 100_000 == 0:
            typer.echo(f"{images:,} images listed", err=True)

    @contextmanager
    def working(self, look: Callable[[], State]) -> Iterator[None]:
        """Show how far the run is until the context ends."""
        first = look()
        if first.done:
            typer.echo(f"going on: {first.done:,} of {first.total:,} images are done already", err=True)
        else:
            typer.echo(f"{first.total:,} images", err=True)
        bar, ended = counting_bar(), Event()
        task = bar.add_task("annotating", total=first.total, completed=first.done, rate="", left="", failed="")
        watch = Thread(target=_watch, args=(look, first, bar, task, ended), daemon=True)
        try:
            with bar:
                watch.start()
                yield
        finally:
            ended.set()
            watch.join(timeout=2 * _EVERY)


def _watch(look: Callable[[], State], first: State, bar: Progress, task: TaskID, ended: Event) -> None:
    began = logged = time.monotonic()
    while not ended.wait(_EVERY):
        state, now = look(), time.monotonic()
        done = state.done - first.done
        rate = done / (now - began)
        speed = _speed(rate) if done else "loading the model"
        left = f"{_span((state.total - state.done) / rate)} left" if done else ""
        failed = f"{state.failed:,} failed" if state.failed else ""
        bar.update(task, completed=state.done, rate=speed, left=left, failed=failed)
        if bar.disable and now - logged >= _LOG_EVERY:
            logged = now
            parts = [f"{state.done:,} of {state.total:,} images", speed, left, failed]
            typer.echo(", ".join(part for part in parts if part), err=True)


def show_outcome(outcome: Outcome, sheet: Path | None = None) -> None:
    """The summary: what was made on stdout, the rest on stderr; that images failed is the last line.

    Args:
        sheet: a preview that was written.
    """
    out = outcome.folder
    if not outcome.made_now:
        typer.echo("everything is done already", err=True)
    for name, reason in outcome.failures:
        typer.echo(f"failed: {name}: {reason}", err=True)
    if outcome.failed > len(outcome.failures):
        typer.echo(f"failed: {outcome.failed - len(outcome.failures):,} more", err=True)
    if outcome.made_now:
        rate = _speed(outcome.made_now / max(outcome.seconds, 1e-3))
        memory = f", at most {outcome.peak_mib:,} MiB of memory a process" if outcome.peak_mib else ""
        typer.echo(f"{outcome.made_now:,} images in {_span(outcome.seconds)}, {rate}{memory}", err=True)
    typer.echo(f"{outcome.images:,} images, {outcome.masks:,} masks -> {out / outcome.look_at}")
    if sheet:
        typer.echo(str(sheet))
    elif outcome.images:
        typer.echo(f"to look at some of them: repvit-sam annotations preview {out}", err=True)
    if outcome.failed:
        total = outcome.images + outcome.failed
        which = "all" if outcome.failed == total else f"{outcome.failed:,}"
        typer.echo(f"{which} of {total:,} images failed; each with its reason: {out / FAILED}", err=True)


def _speed(rate: float) -> str:
    """ "12.3 images/s", "4.5 images/min"."""
    return f"{rate:.3g} images/s" if rate >= 1 else f"{60 * rate:.3g} images/min"


def _span(seconds: float) -> str:
    """ "0:07", "12:30", "3:25:00", "2 days 4 h"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} days {hours % 24} h"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
