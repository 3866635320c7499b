"""Sizes of exported files, and how close Core ML encoders of each precision are to PyTorch.

    python benchmarks/export_sizes.py --canvas 1024 repvit_m0_9 default

Give variants, for random weights (sizes do not depend on the weights), or checkpoints by name or path.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import repvit_sam
from repvit_sam.build import build_repvit_sam
from repvit_sam.calibration import calibration_photos
from repvit_sam.console import report_errors
from repvit_sam.export.config import COREML_PRECISIONS, ONNX_PRECISIONS
from repvit_sam.export.coreml import convert_decoder, convert_encoder
from repvit_sam.export.coreml_runtime.model import CoreMLEncoder
from repvit_sam.export.encoder_input import CANVAS, feeds_of
from repvit_sam.export.onnx import write_decoder, write_encoder
from repvit_sam.export.quantize import to_fp16, to_int8
from repvit_sam.export.traceable import prepare
from repvit_sam.export.verify import Comparison, PyTorchReference
from repvit_sam.modeling.image_encoder import TIMM_ENCODERS
from repvit_sam.modeling.sam import SamModel

_PHOTOS = repvit_sam.example_photo("coffee").parent
_HELP = "{}; repeat the option for several; all by default"


def measure_encoder(model: SamModel, folder: Path, coreml: list[str], onnx: list[str]) -> dict[str, str]:
    """Label -> megabytes, and for Core ML the comparison with PyTorch on the example photograph."""
    prepared, reference, row = prepare(model), PyTorchReference(model), {}
    for precision in coreml:
        path = _saved(convert_encoder(prepared, precision, picture=True), folder / f"{precision}.mlpackage")
        found = _compare(reference, CoreMLEncoder(path, model.canvas_size))
        row[f"Core ML {precision}"] = f"{_megabytes(path)}, {found}"
    write_encoder(prepared, folder / "encoder.onnx")
    return row | _onnx_sizes(folder / "encoder.onnx", onnx, model.canvas_size)


def measure_decoder(model: SamModel, folder: Path, coreml: list[str], onnx: list[str]) -> dict[str, str]:
    """Label -> megabytes, for the decoder: the same for all variants, and never in int8."""
    prepared, row = prepare(model), {}
    for precision in coreml:
        path = _saved(convert_decoder(prepared, precision), folder / f"{precision}.mlpackage")
        row[f"Core ML {precision}"] = _megabytes(path)
    write_decoder(prepared, folder / "decoder.onnx")
    precisions = [precision for precision in onnx if precision != "int8"]
    return row | _onnx_sizes(folder / "decoder.onnx", precisions, model.canvas_size)


def _onnx_sizes(fp32: Path, precisions: list[str], canvas: int) -> dict[str, str]:
    row = {}
    for precision in precisions:
        path = fp32.with_name(f"{precision}.onnx")
        if precision == "fp16":
            to_fp16(fp32, path)
        elif precision == "int8":  # the size does not depend on the photograph
            feeds = partial(feeds_of, encoder_input=CANVAS, canvas_size=canvas)
            to_int8(fp32, path, calibration_photos(_PHOTOS)[:1], feeds, lambda done, total: None)
        row[f"ONNX {precision}"] = _megabytes(fp32 if precision == "fp32" else path)
    return row


def _saved(package: Any, path: Path) -> Path:
    package.save(str(path))
    return path


def _compare(reference: PyTorchReference, encoder: CoreMLEncoder) -> Comparison:
    return reference.compare_encoder(lambda content, canvas: encoder.encode_content(content))


def _megabytes(path: Path) -> str:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"


def main(
    names: Annotated[list[str] | None, typer.Argument(help="variants or checkpoints; all variants by default")] = None,
    canvas: Annotated[int, typer.Option(help="side of the canvas in pixels")] = 1024,
    coreml: Annotated[list[str] | None, typer.Option(help=_HELP.format(", ".join(COREML_PRECISIONS)))] = None,
    onnx: Annotated[list[str] | None, typer.Option(help=_HELP.format(", ".join(ONNX_PRECISIONS)))] = None,
) -> None:
    """Sizes in megabytes, and how close Core ML encoders are to PyTorch."""
    with report_errors():
        kinds = (_known("coreml", coreml, COREML_PRECISIONS), _known("onnx", onnx, ONNX_PRECISIONS))
        for index, name in enumerate(names or list(TIMM_ENCODERS)):
            if name in TIMM_ENCODERS:
                model = build_repvit_sam(name, canvas=canvas)
            else:
                model = repvit_sam.load(name, device="cpu", canvas=canvas)
            _show(name, model, measure_encoder, kinds)
            if not index:
                _show("decoder", model, measure_decoder, kinds)


def _known(option: str, given: list[str] | None, known: tuple[str, ...]) -> list[str]:
    if unknown := set(given or ()) - set(known):
        raise ValueError(f"--{option} must be one of {', '.join(known)}, got {', '.join(sorted(unknown))}")
    return given or list(known)


def _show(name: str, model: SamModel, measure: Any, kinds: tuple[list[str], list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for label, text in measure(model, Path(folder), *kinds).items():
            typer.echo(f"{name:<14} {label:<16} {text}")


if __name__ == "__main__":
    typer.run(main)
