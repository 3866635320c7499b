"""Progress bars, and errors as one sentence each, on stderr; results go to stdout."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.status import Status

from .errors import RepVitSamError


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn expected errors into ``Error: ...`` on stderr and exit code 1; a bug still shows its traceback."""
    try:
        yield
    except (RepVitSamError, ValueError, ConnectionError) as error:
        _stop(str(error))
    except MemoryError:
        _stop("not enough memory; take a smaller photo, or fewer points at once")
    except RuntimeError as error:
        # the messages of CUDA, MPS and the CPU's allocator
        if not re.search("out of memory|allocate memory|not enough memory", str(error)):
            raise
        _stop("not enough memory; take a smaller photo, fewer points at once, or another --device")
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        raise typer.Exit(130) from None


def spinner(text: str) -> Status:
    """A spinner with a text, for work without steps: ``with spinner("reading"):``"""
    return Console(stderr=True).status(text)


@contextmanager
def loading_model(what: str = "the model") -> Iterator[None]:
    """A spinner that shows what ``load`` logs: a conversion that takes seconds; warnings stay, a line each."""
    log = logging.getLogger("repvit_sam")
    level = log.level
    with spinner(f"loading {what}") as status:
        handler = _ToSpinner(status)
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.setLevel(level)


class _ToSpinner(logging.Handler):
    def __init__(self, status: Status) -> None:
        super().__init__()
        self._status = status

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            typer.echo(f"Warning: {record.getMessage()}", err=True)
        else:
            self._status.update(record.getMessage())


def progress_bar() -> Progress:
    """A bar that counts steps and disappears at the end; it is not shown if stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return _bar(*columns)


def counting_bar() -> Progress:
    """As ``progress_bar``, with the fields ``rate``, ``left`` and ``failed``, texts that the caller makes."""
    texts = (TextColumn("{task.fields[" + name + "]}") for name in ("rate", "left", "failed"))
    return _bar(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *texts)


def say(bar: Progress, line: str, err: bool = False) -> None:
    """Print a line above the bar."""
    bar.stop()
    typer.echo(line, err=err)
    bar.start()


def download_bar() -> Progress:
    """A bar that counts bytes, like ``progress_bar``."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return _bar(*columns)


def _bar(*columns: ProgressColumn) -> Progress:
    # by default rich redirects stdout into the bar's console, and results would not reach a pipe
    console = Console(stderr=True)
    return Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    )


def _stop(message: str) -> None:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(1) from None
