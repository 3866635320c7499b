"""What a person at a terminal sees: progress bars and errors on stderr, as one sentence each; results go to stdout."""

from __future__ import annotations

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
    """End the program with ``Error: ...`` and exit code 1 where this package, or a wrong argument, says why."""
    try:
        yield
    except (RepVitSamError, ValueError, ConnectionError) as error:
        _stop(str(error))
    except MemoryError:
        _stop("not enough memory; take a smaller photo, or fewer points at once")
    except RuntimeError as error:
        # CUDA's, MPS's and the CPU allocator's words for it
        if not re.search("out of memory|allocate memory|not enough memory", str(error)):
            raise
        _stop("not enough memory; take a smaller photo, fewer points at once, or another --device")
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        raise typer.Exit(130) from None


def spinner(text: str) -> Status:
    """A line that turns while something without steps takes its time: ``with spinner("reading"):``"""
    return Console(stderr=True).status(text)


def progress_bar() -> Progress:
    """Counts steps; vanishes when done, stays silent where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return _bar(*columns)


def say(bar: Progress, line: str, err: bool = False) -> None:
    """Print a line while a bar is shown, the bar taken away for a moment."""
    bar.stop()
    typer.echo(line, err=err)
    bar.start()


def download_bar() -> Progress:
    """Counts bytes."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return _bar(*columns)


def _bar(*columns: ProgressColumn) -> Progress:
    # rich would redirect stdout into the bar's console, so that results never reach a pipe
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
