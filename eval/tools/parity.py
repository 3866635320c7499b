"""Compares the masks of other engines, and of exported ONNX files, with PyTorch's, on photographs with boxes.

    python eval/tools/parity.py --data DIR --checkpoint small --engine openvino:bf16 --engine openvino:int8
    python eval/tools/parity.py --data DIR --checkpoint small --export onnx_fp32 --export onnx_int8

For each: IoU between its masks and those of PyTorch in fp32 (mean, least, share below 0.99), and the box mIoU of both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from repvit_sam.backends.onnx_runtime import OnnxBackend
from repvit_sam.console import progress_bar, report_errors
from repvit_sam.embedding import encoder_fingerprint
from repvit_sam.eval.datasets.coco import CocoFolder, LabelledPhoto
from repvit_sam.eval.metrics.iou import iou
from repvit_sam.eval.prompting.ground_truth import box_of
from repvit_sam.files import atomic_write
from repvit_sam.loading import load
from repvit_sam.modeling.sam import SamModel
from repvit_sam.predictor import SamPredictor
from repvit_sam.rle import Rle, decode_rle, encode_rle

if TYPE_CHECKING:
    from repvit_sam.loading import AnyModel

_REFERENCE = "PyTorch"


@dataclass(frozen=True)
class Row:
    """One backend over all instances.

    Attributes:
        agreement: mean IoU with the reference's masks.
        least: the smallest of these IoUs.
        below: share of them below 0.99.
        box_miou: mean IoU with the annotations.
        seconds: to encode one photo, median.
    """

    engine: str
    agreement: float
    least: float
    below: float
    box_miou: float
    seconds: float


@dataclass(frozen=True)
class BoxMasks:
    """The masks of all instances, their IoU with the annotations, and the seconds to encode each photo."""

    rles: list[Rle]
    ious: list[float]
    seconds: list[float]


def compare(folder: CocoFolder, engines: dict[str, Callable[[], AnyModel]]) -> list[Row]:
    """Every backend on every photo, one backend after the other; the first is the reference of the others.

    Raises:
        ValueError: the photos have no instance.
    """
    rows: list[Row] = []
    reference: list[Rle] = []
    with progress_bar() as bar:
        for name, open_model in engines.items():
            photos = bar.track((folder[index] for index in range(len(folder))), len(folder), description=name)
            found = predict_boxes(SamPredictor(open_model()), photos)
            if not found.ious:
                raise ValueError("no instance of that size in these photos")
            reference = reference or found.rles
            agreement = np.array([
                iou(decode_rle(one), decode_rle(other)) for one, other in zip(reference, found.rles, strict=True)
            ])  # fmt: skip
            rows.append(
                Row(
                    name,
                    agreement=float(agreement.mean()),
                    least=float(agreement.min()),
                    below=float(np.mean(agreement < 0.99)),
                    box_miou=float(np.mean(found.ious)),
                    seconds=float(np.median(found.seconds)),
                )
            )
    return rows


def predict_boxes(predictor: SamPredictor, photos: Iterable[LabelledPhoto]) -> BoxMasks:
    """The masks of the boxes of all instances."""
    found = BoxMasks([], [], [])
    for labelled in photos:
        if not labelled.instances:
            continue
        boxes = np.array([box_of(instance.mask) for instance in labelled.instances])
        started = time.perf_counter()
        predictor.set_image(labelled.photo)
        found.seconds.append(time.perf_counter() - started)
        masks = predictor.predict(box=boxes, multimask_output=False, batched=True)[0][:, 0]
        for instance, mask in zip(labelled.instances, masks, strict=True):
            found.rles.append(encode_rle(mask))
            found.ious.append(iou(instance.mask, mask))
    return found


def named(exports: Sequence[Path]) -> dict[str, Path]:
    """The folders by name; those whose name is not unique by path.

    Raises:
        ValueError: a folder is given twice.
    """
    whole = [path.resolve() for path in exports]
    if len(set(whole)) < len(whole):
        raise ValueError("--export names a folder twice")
    names = [_REFERENCE, *(path.name for path in whole)]
    return {path.name if names.count(path.name) == 1 else str(path): path for path in whole}


def check_same_network(export: Path, reference: SamModel, checkpoint: str) -> None:
    """Check that the export is of this checkpoint and canvas size.

    Raises:
        ValueError: it is not.
    """
    model = OnnxBackend(export)
    if model.canvas_size != reference.canvas_size:
        raise ValueError(
            f"{export} was exported for a canvas of {model.canvas_size}: give --canvas {model.canvas_size}"
        )
    if model.fingerprint() != encoder_fingerprint(reference.image_encoder):
        raise ValueError(f"{export} is no export of {checkpoint}: give its --checkpoint")


def table(rows: Sequence[Row], title: str) -> Table:
    """The rows to print."""
    view = Table(title=title)
    for column in ("engine", "IoU with PyTorch", "least", "below 0.99", "box mIoU", "s to encode"):
        view.add_column(column)
    for row in rows:
        numbers = (f"{row.agreement:.4f}", f"{row.least:.4f}", f"{row.below:.1%}", f"{row.box_miou:.4f}")
        view.add_row(row.engine, *numbers, f"{row.seconds:.2f}")
    return view


def main(
    data: Annotated[Path, typer.Option(help="COCO-format folder: images/ and annotations.json")],
    export: Annotated[list[Path] | None, typer.Option(help="a folder of repvit-sam export onnx; repeat")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="ENGINE or ENGINE:PRECISION; repeat")] = None,
    checkpoint: Annotated[str, typer.Option(help="what computes; what was exported")] = "default",
    canvas: Annotated[int | None, typer.Option(help="the canvas it was exported for")] = None,
    min_area: Annotated[float, typer.Option(help="leave out instances smaller than this, in pixels")] = 1024,
    limit: Annotated[int | None, typer.Option(help="only the first N photos")] = 50,
    json_file: Annotated[Path | None, typer.Option("--json", help="write the numbers here")] = None,
) -> None:
    """Agreement of engines and exports with PyTorch, and the box mIoU of each."""
    with report_errors():
        folder = CocoFolder(data, min_area=min_area, limit=limit)
        reference = load(checkpoint, "cpu", canvas=canvas)
        engines: dict[str, Callable[[], AnyModel]] = {_REFERENCE: lambda: reference}
        if not export and not engine:
            raise ValueError("give at least one --engine or --export")
        for words in engine or []:
            name, _, precision = words.partition(":")
            engines[words] = partial(load, checkpoint, "cpu", True, canvas, name, precision or "auto")
        for name, path in named(export or []).items():
            check_same_network(path, reference, checkpoint)
            engines[name] = partial(OnnxBackend, path)
        rows = compare(folder, engines)
        Console().print(table(rows, f"{checkpoint} on {data.name}: {len(folder)} photos, boxes"))
        if json_file:
            with atomic_write(json_file) as beside:
                beside.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
