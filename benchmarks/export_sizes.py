"""How large exports are, and how far Core ML's half precision and 8 bits are from PyTorch; one row a variant.

    python benchmarks/export_sizes.py --canvas 1024 repvit_m0_9 repvit_m2_3

Weights are random (sizes do not depend on them), or a checkpoint's where a file or a name of the catalogue is given.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

import repvit_sam
from repvit_sam.console import errors_as_sentences
from repvit_sam.export.coreml import convert_decoder, convert_encoder
from repvit_sam.export.networks import prepare
from repvit_sam.export.onnx import write_decoder, write_encoder
from repvit_sam.export.package import CoreMLEncoder
from repvit_sam.export.verify import Comparison, Reference
from repvit_sam.image_encoder import FAMILIES
from repvit_sam.model import SamModel, build_repvit_sam

_PRECISIONS = ("fp32", "fp16", "linear8", "palette8")


def measure(model: SamModel, folder: Path, precisions: list[str]) -> dict[str, str]:
    """Label -> megabytes, and for Core ML the difference of the embedding on the bundled photograph."""
    prepared, reference, row = prepare(model), Reference(model), {}
    for precision in precisions:
        path = folder / f"{precision}.mlpackage"
        convert_encoder(prepared, precision, picture=True).save(str(path))
        found = _compare(reference, CoreMLEncoder(path, model.canvas_size))
        row[f"Core ML {precision}"] = f"{_megabytes(path):.1f} MB, {found}"
    write_encoder(prepared, folder / "encoder.onnx")
    row["ONNX fp32"] = f"{_megabytes(folder / 'encoder.onnx'):.1f} MB"
    return row


def measure_decoder(model: SamModel, folder: Path, precisions: list[str]) -> dict[str, str]:
    """The same for the decoder, which is one for all variants."""
    prepared, row = prepare(model), {}
    for precision in precisions:
        path = folder / f"{precision}.mlpackage"
        convert_decoder(prepared, precision).save(str(path))
        row[f"Core ML {precision}"] = f"{_megabytes(path):.1f} MB"
    write_decoder(prepared, folder / "decoder.onnx")
    row["ONNX fp32"] = f"{_megabytes(folder / 'decoder.onnx'):.1f} MB"
    return row


def _compare(reference: Reference, encoder: CoreMLEncoder) -> Comparison:
    return reference.compare_encoder(lambda content, canvas: encoder.encode_content(content))


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def main(
    names: Annotated[list[str] | None, typer.Argument(help="variants, checkpoints; all variants by default")] = None,
    canvas: Annotated[int, typer.Option(help="side of the canvas in pixels")] = 1024,
    precision: Annotated[list[str] | None, typer.Option(help="fp32, fp16, linear8, palette8; repeat")] = None,
) -> None:
    """Sizes in megabytes, and differences from PyTorch."""
    with errors_as_sentences():
        precisions = precision or list(_PRECISIONS)
        for index, name in enumerate(names or list(FAMILIES)):
            if name in FAMILIES:
                model = build_repvit_sam(name, canvas=canvas)
            else:
                model = repvit_sam.load(name, device="cpu", canvas=canvas)
            with tempfile.TemporaryDirectory() as folder:
                for label, text in measure(model, Path(folder), precisions).items():
                    typer.echo(f"{name:<14} {label:<16} {text}")
            if not index:
                with tempfile.TemporaryDirectory() as folder:
                    for label, text in measure_decoder(model, Path(folder), precisions).items():
                        typer.echo(f"{'decoder':<14} {label:<16} {text}")


if __name__ == "__main__":
    typer.run(main)
