"""``repvit-sam export``: coreml, onnx."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import report_errors
from .options import CheckpointOption

OutOption = Annotated[Path, typer.Option(help="folder for the files")]
PartOption = Annotated[str, typer.Option(help="encoder, decoder, both; backbone: the classifier, to time it")]
VariantOption = Annotated[
    str | None, typer.Option(help="backbone: repvit_m0_6, m0_9 (by default), m1_0, m1_1, m1_5 or m2_3")
]
CanvasOption = Annotated[
    int | None, typer.Option(help="side of the canvas in pixels; by default the checkpoint's, for a backbone 224")
]
ForceOption = Annotated[bool, typer.Option("--force", help="overwrite what is there")]

BACKBONE = "backbone"  # the part that is no part of a SAM

app = typer.Typer(help="Files for phones, browsers and other runtimes: Core ML and ONNX.", no_args_is_help=True)


@app.command("coreml")
def export_to_coreml(
    out: OutOption,
    checkpoint: CheckpointOption = "default",
    part: PartOption = "both",
    variant: VariantOption = None,
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
        if part == BACKBONE:
            _refuse_for_backbone({"--checkpoint": checkpoint != "default", "--tensor": tensor, "--upscaled": upscaled})
            return _export_backbone("coreml", variant, out, precision, canvas, force)
        _refuse_variant(variant)
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
    variant: VariantOption = None,
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
        if part == BACKBONE:
            given: dict[str, object] = {"--calibrate": calibrate, "--picture": picture, "--single-mask": single_mask}
            given |= {"--checkpoint": checkpoint != "default", "--convention": convention}
            _refuse_for_backbone(given)
            return _export_backbone("onnx", variant, out, precision, canvas, force)
        _refuse_variant(variant)
        from ..export import ExportConfig, export_onnx

        config = ExportConfig(
            checkpoint=checkpoint, out=out, part=part, precision=precision, canvas=canvas, force=force
        )
        for path in export_onnx(config, calibrate, picture, single_mask, convention, log=_to_stderr):
            typer.echo(path)


def _export_backbone(
    runtime: str, variant: str | None, out: Path, precision: str, side: int | None, force: bool
) -> None:
    from ..export.backbone import BACKBONE_SIDE, BackboneConfig, export_backbone

    config = BackboneConfig(
        variant=variant or "repvit_m0_9",
        out=out,
        runtime=runtime,
        precision=precision,
        side=BACKBONE_SIDE if side is None else side,
        force=force,
    )
    for path in export_backbone(config, log=_to_stderr):
        typer.echo(path)


def _refuse_for_backbone(given: dict[str, object]) -> None:
    """Options of an encoder or decoder: a backbone has fresh weights and one form."""
    for option, value in given.items():
        if value:
            raise ValueError(f"--part backbone has fresh weights and one form; leave {option} out")


def _refuse_variant(variant: str | None) -> None:
    if variant is not None:
        raise ValueError(f"--variant is for --part backbone; a checkpoint says its own, got {variant!r}")


def _to_stderr(line: str) -> None:
    typer.echo(line, err=True)
