"""``repvit-sam segment``: masks for points and boxes, for what a text names, for the boxes of a detector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from .result_files import ObjectPrompt


def segment(
    photos: PhotosArgument,
    point: Annotated[list[str] | None, typer.Option(help="X,Y of the object, or X,Y,0 of background; repeat")] = None,
    box: Annotated[list[str] | None, typer.Option(help="X0,Y0,X1,Y1 around an object; repeat for several")] = None,
    text: Annotated[
        str | None, typer.Option(help="what to find: labels separated by full stops, 'cat. remote control.'")
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            help="for --text: a folder, a name on huggingface.co, or grounding-dino-tiny (default), "
            "grounding-dino-base, owlv2-base, owlv2-large"
        ),
    ] = None,
    box_threshold: Annotated[
        float | None, typer.Option(help="for --text: score that a box must exceed; default: the detector's own")
    ] = None,
    text_threshold: Annotated[
        float | None, typer.Option(help="for --text with Grounding DINO: score that a label must exceed; default 0.25")
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="detections of any detector: a COCO results list, or a whole COCO file")
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="for --boxes: a COCO file that says which photo an image_id is")
    ] = None,
    score: Annotated[float | None, typer.Option(help="for --boxes: least score of a detection")] = None,
    max_boxes: Annotated[
        int | None,
        typer.Option(min=1, help="for --text and --boxes: keep so many of highest score in each photo; default 100"),
    ] = None,
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
    """Masks for points and boxes, in pixels of the photo; or for what a text names; or for the boxes of a detector.

    Example: repvit-sam segment photo.jpg --box 100,80,500,420 --point 300,200 --out result

    repvit-sam segment photo.jpg --text "cat. remote control."

    repvit-sam segment photos/ --boxes detections.json --annotations instances.json --score 0.3
    """
    _check_options(
        {"--point or --box": point or box or None, "--text": text, "--boxes": boxes},
        {
            ("--text",): {
                "--detector": detector,
                "--box-threshold": box_threshold,
                "--text-threshold": text_threshold,
            },
            ("--boxes",): {"--annotations": annotations, "--score": score},
            ("--text", "--boxes"): {"--max-boxes": max_boxes},
        },
    )
    prompts = _prompts(point or [], box or []) if point or box else []
    from ..detections import MAX_BOXES
    from .box_sources import FileBoxes, TextBoxes
    from .photo_files import segment_boxes, segment_photos

    model, most = ModelOptions(checkpoint, device, engine, precision, calibrate), max_boxes or MAX_BOXES
    with report_errors():
        if text is not None:
            of_text = TextBoxes(text, detector or "grounding-dino-tiny", box_threshold, text_threshold, most)
            failures = segment_boxes(photos, of_text.open(device), every_mask, refine, model, out)
        elif boxes is not None:
            of_file = FileBoxes(boxes, annotations, score or 0.0, most)
            failures = segment_boxes(photos, of_file.open(photos), every_mask, refine, model, out)
        else:
            failures = segment_photos(photos, prompts, every_mask, refine, model, out)
    exit_if_failed(failures)


def _check_options(ways: Mapping[str, Any], options: Mapping[tuple[str, ...], Mapping[str, Any]]) -> None:
    """Exactly one way to say what to segment, and no option of another one."""
    given = [way for way, value in ways.items() if value is not None]
    if not given:
        raise typer.BadParameter(
            "give at least one --point or --box, or --text, or --boxes; for all objects: repvit-sam everything"
        )
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)} do not go together; give one of them")
    for owners, its in options.items():
        for name, value in its.items():
            if value is not None and given[0] not in owners:
                raise typer.BadParameter(f"{name} goes with {' and '.join(owners)}, not with {given[0]}")


def _prompts(point: list[str], box: list[str]) -> list[ObjectPrompt]:
    from .result_files import ObjectPrompt

    points = [_numbers("--point", text, (2, 3)) for text in point]
    boxes = [_numbers("--box", text, (4,)) for text in box]
    if points and len(boxes) > 1:
        raise typer.BadParameter("points go with one --box at most; several boxes are several objects")
    labelled = tuple((x, y, int(label[0]) if label else 1) for x, y, *label in points)
    return [ObjectPrompt(labelled, tuple(corners)) for corners in boxes] or [ObjectPrompt(labelled, None)]


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
