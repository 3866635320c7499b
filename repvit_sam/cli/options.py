"""What several commands share: options, and the exit code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import loading_model

if TYPE_CHECKING:
    from ..loading import AnyModel

CheckpointOption = Annotated[str, typer.Option(help="a name from `repvit-sam weights list`, or a file")]
CheckpointArgument = Annotated[str, typer.Argument(help="a checkpoint file, or a name from `repvit-sam weights list`")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, mps")]
EngineOption = Annotated[str, typer.Option(help="what computes: auto, torch, openvino, onnx (an export's folder)")]
PrecisionOption = Annotated[str, typer.Option(help="of the image encoder: auto, fp32, bf16, int8 (openvino)")]
CalibrateOption = Annotated[Path | None, typer.Option(help="int8: a folder of photographs to measure ranges on")]
TextFieldOption = Annotated[
    str, typer.Option("--detector", help="a text field that finds by words: a detector's name or folder (docs/text.md)")
]
PhotosArgument = Annotated[
    list[str], typer.Argument(metavar="PHOTO", help="photo files, folders, or 'glob*.jpg' patterns")
]
OutOption = Annotated[
    Path, typer.Option(help="folder for the results; a sub-folder for each photo if there are several")
]


@dataclass(frozen=True)
class ModelOptions:
    """The options that decide which model computes, and on what."""

    checkpoint: str
    device: str
    engine: str
    precision: str
    calibrate: Path | None

    def load(self) -> AnyModel:
        """The model, with a spinner while it is loaded or converted."""
        from ..loading import load

        with loading_model():
            return load(
                self.checkpoint,
                self.device,
                engine=self.engine,
                precision=self.precision,
                calibrate=self.calibrate,
            )


def exit_if_failed(failures: int) -> None:
    """End the command with code 1 where photos failed."""
    if failures:
        typer.echo(f"{failures} of the photos failed", err=True)
        raise typer.Exit(1)
