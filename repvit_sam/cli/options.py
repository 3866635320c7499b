"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

CheckpointOption = Annotated[str, typer.Option(help="a name from `repvit-sam weights list`, or a file")]
CheckpointArgument = Annotated[str, typer.Argument(help="a checkpoint file, or a name from `repvit-sam weights list`")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, mps")]
