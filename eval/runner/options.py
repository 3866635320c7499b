"""Command-line options that all programs of this folder share, with one name and one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Checkpoint = Annotated[str, typer.Option(help="a known name, a file, or (--engine onnx) the folder of an export")]
EngineName = Annotated[str, typer.Option(help="what computes: torch, openvino, onnx, or auto for the fastest here")]
PrecisionName = Annotated[str, typer.Option(help="of the image encoder: auto, fp32, bf16, int8 (openvino)")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps")]
Out = Annotated[
    Path | None, typer.Option(help="write results here, each photo's at once: the same command resumes a stopped run")
]
Workers = Annotated[int, typer.Option(help="processes; under torchrun leave it at 1")]
Limit = Annotated[int | None, typer.Option(min=1, help="only the first N photos; the table is then marked as a subset")]
SavePictures = Annotated[
    bool, typer.Option("--save-figures", help="draw best, median and worst cases into OUT/figures")
]
