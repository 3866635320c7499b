"""``repvit-sam segment``: masks for points and boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import report_errors
from .options import (
    CalibrateOption,
    CheckpointOption,
    DeviceOption,
    EngineOption,
    ModelOptions,
    OutOption,
    PhotosArgument,
    PrecisionOption,
    exit_if_failed,
)


def segment(
    photos: PhotosArgument,
    point: Annotated[list[str] | None, typer.Option(help="X,Y of the object, or X,Y,0 of background; repeat")] = None,
    box: Annotated[list[str] | None, typer.Option(help="X0,Y0,X1,Y1 around an object; repeat for several")] = None,
    every_mask: Annotated[
        bool, typer.Option("--every-mask", help="write all three candidates instead of the best")
    ] = False,
    refine: Annotated[
        bool, typer.Option("--refine", help="look at each object again, enlarged: better for small objects, slower")
    ] = False,
    checkpoint: CheckpointOption = "default",
    device: DeviceOption = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    calibrate: CalibrateOption = None,
    out: OutOption = Path("out"),
) -> None:
    """Masks for points and boxes, in pixels of the photo.

    Example: repvit-sam segment photo.jpg --box 100,80,500,420 --point 300,200 --out result
    """
    from .photo_files import segment_photos
    from .result_files import ObjectPrompt

    points = [_numbers("--point", text, (2, 3)) for text in point or []]
    boxes = [_numbers("--box", text, (4,)) for text in box or []]
    if not points and not boxes:
        raise typer.BadParameter("give at least one --point or --box; for all objects: repvit-sam everything")
    if points and len(boxes) > 1:
        raise typer.BadParameter("points go with one --box at most; several boxes are several objects")
    labelled = tuple((x, y, int(label[0]) if label else 1) for x, y, *label in points)
    prompts = [ObjectPrompt(labelled, tuple(corners)) for corners in boxes] or [ObjectPrompt(labelled, None)]
    model = ModelOptions(checkpoint, device, engine, precision, calibrate)
    with report_errors():
        failures = segment_photos(photos, prompts, every_mask, refine, model, out)
    exit_if_failed(failures)


def _numbers(option: str, text: str, counts: tuple[int, ...]) -> list[float]:
    """The comma-separated numbers of an option, of which there must be one of ``counts``."""
    forms = {"--point": "X,Y or X,Y,LABEL with label 1 or 0", "--box": "X0,Y0,X1,Y1"}
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in counts or (len(numbers) == 3 and numbers[2] not in (0, 1)):
        raise typer.BadParameter(f"{option} takes {forms[option]}, got {text!r}")
    return numbers
