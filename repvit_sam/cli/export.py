"""``repvit-sam export``: coreml, onnx."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import report_errors
from .options import CheckpointOption

OutOption = Annotated[Path, typer.Option(help="folder for the files")]
PartOption = Annotated[str, typer.Option(help="encoder, decoder, both")]
CanvasOption = Annotated[int | None, typer.Option(help="side of the canvas in pixels; the checkpoint's by default")]
ForceOption = Annotated[bool, typer.Option("--force", help="overwrite what is there")]

app = typer.Typer(help="Files for phones, browsers and other runtimes: Core ML and ONNX.", no_args_is_help=True)


@app.command("coreml")
def export_to_coreml(
    out: OutOption,
    checkpoint: CheckpointOption = "default",
    part: PartOption = "both",
    precision: Annotated[str, typer.Option(help="fp16, fp32, or 8-bit weights: palette8, linear8")] = "fp16",
    canvas: CanvasOption = None,
    tensor: Annotated[
        bool, typer.Option("--tensor", help="the encoder takes the finished canvas instead of a picture")
    ] = False,
    upscaled: Annotated[
        bool, typer.Option("--upscaled", help="the decoder gives logits on the canvas as well")
    ] = False,
    force: ForceOption = False,
) -> None:
    """encoder.mlpackage and decoder.mlpackage for iOS 16, macOS 13 and later, compared with PyTorch.

    Example: repvit-sam export coreml --checkpoint small --out phone
    """
    with report_errors():
        from ..export import ExportConfig, export_coreml

        config = ExportConfig(
            checkpoint=checkpoint, out=out, part=part, precision=precision, canvas=canvas, force=force
        )
        for path in export_coreml(config, picture=not tensor, upscaled=upscaled, log=_to_stderr):
            typer.echo(path)


@app.command("onnx")
def export_to_onnx(
    out: OutOption,
    checkpoint: CheckpointOption = "default",
    part: PartOption = "both",
    precision: Annotated[str, typer.Option(help="fp32, fp16, int8")] = "fp32",
    canvas: CanvasOption = None,
    calibrate: Annotated[Path | None, typer.Option(help="int8: a folder of photographs")] = None,
    picture: Annotated[
        bool, typer.Option("--picture", help="the encoder takes uint8 pixels instead of the finished canvas")
    ] = False,
    single_mask: Annotated[
        bool, typer.Option("--single-mask", help="the decoder chooses one mask, by SAM's rule, instead of all four")
    ] = False,
    convention: Annotated[
        str | None,
        typer.Option(help="for another program: samexporter (also AnyLabeling, X-AnyLabeling), osam (also labelme)"),
    ] = None,
    force: ForceOption = False,
) -> None:
    """encoder.onnx and decoder.onnx, the decoder with segment_anything's names, compared with PyTorch.

    Example: repvit-sam export onnx --checkpoint small --out onnx
    """
    with report_errors():
        from ..export import ExportConfig, export_onnx

        config = ExportConfig(
            checkpoint=checkpoint, out=out, part=part, precision=precision, canvas=canvas, force=force
        )
        for path in export_onnx(config, calibrate, picture, single_mask, convention, log=_to_stderr):
            typer.echo(path)


def _to_stderr(line: str) -> None:
    typer.echo(line, err=True)
