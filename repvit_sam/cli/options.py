"""What several commands share: options, and the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CheckpointOption = Annotated[str, typer.Option(help="a name from `repvit-sam weights list`, or a file")]
CheckpointArgument = Annotated[str, typer.Argument(help="a checkpoint file, or a name from `repvit-sam weights list`")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, mps")]
PhotosArgument = Annotated[
    list[str], typer.Argument(metavar="PHOTO", help="photo files, folders, or 'glob*.jpg' patterns")
]
OutOption = Annotated[
    Path, typer.Option(help="folder for the results; a sub-folder for each photo if there are several")
]


def exit_if_failed(failures: int) -> None:
    """End the command with code 1 where photos failed."""
    if failures:
        typer.echo(f"{failures} of the photos failed", err=True)
        raise typer.Exit(1)
