"""Options that all programs of this folder share, so that they are called, and mean, the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Checkpoint = Annotated[str, typer.Option(help="name in the catalogue, a file, or (--engine onnx) an export's folder")]
EngineName = Annotated[str, typer.Option(help="torch, onnx")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps")]
Out = Annotated[
    Path | None, typer.Option(help="keep results, and each photo's as it is made: the same command again goes on there")
]
Workers = Annotated[int, typer.Option(help="processes; under torchrun leave it at 1")]
Limit = Annotated[int | None, typer.Option(min=1, help="only the first N photos: a subset, and called one")]
SaveFigures = Annotated[bool, typer.Option("--save-figures", help="draw best, median and worst cases into OUT/figures")]
