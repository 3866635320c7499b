"""``repvit-sam segment``, ``everything`` and ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import report_errors
from .options import CheckpointOption, DeviceOption

PhotosArgument = Annotated[
    list[str], typer.Argument(metavar="PHOTO", help="photo files, folders, or 'glob*.jpg' patterns")
]
OutOption = Annotated[
    Path, typer.Option(help="folder for the results; a sub-folder for each photo if there are several")
]


def segment(
    photos: PhotosArgument,
    point: Annotated[list[str] | None, typer.Option(help="X,Y of the object, or X,Y,0 of background; repeat")] = None,
    box: Annotated[list[str] | None, typer.Option(help="X0,Y0,X1,Y1 around an object; repeat for several")] = None,
    every_mask: Annotated[
        bool, typer.Option("--every-mask", help="write all three candidates instead of the best")
    ] = False,
    checkpoint: CheckpointOption = "default",
    device: DeviceOption = "auto",
    out: OutOption = Path("out"),
) -> None:
    """Masks for points and boxes, in pixels of the photo.

    Example: repvit-sam segment photo.jpg --box 100,80,500,420 --point 300,200 --out result
    """
    from .result_files import ObjectPrompt
    from .segment_photos import segment_photos

    points = [_numbers("--point", text, (2, 3)) for text in point or []]
    boxes = [_numbers("--box", text, (4,)) for text in box or []]
    if not points and not boxes:
        raise typer.BadParameter("give at least one --point or --box; for all objects: repvit-sam everything")
    if points and len(boxes) > 1:
        raise typer.BadParameter("points go with one --box at most; several boxes are several objects")
    labelled = tuple((x, y, int(label[0]) if label else 1) for x, y, *label in points)
    prompts = [ObjectPrompt(labelled, tuple(corners)) for corners in boxes] or [ObjectPrompt(labelled, None)]
    with report_errors():
        failures = segment_photos(photos, prompts, every_mask, checkpoint, device, out)
    _exit_if_failed(failures)


def everything(
    photos: PhotosArgument,
    points_per_side: Annotated[int, typer.Option(min=1, max=256, help="points along one side of the grid")] = 32,
    pred_iou: Annotated[float, typer.Option(help="keep masks that the model rates above this")] = 0.88,
    stability: Annotated[float, typer.Option(help="keep masks at least this stable")] = 0.95,
    min_area: Annotated[int, typer.Option(min=0, help="fill holes and drop islands smaller than this, in pixels")] = 0,
    crop_layers: Annotated[int, typer.Option(min=0, max=4, help="look again at crops, for small objects")] = 0,
    checkpoint: CheckpointOption = "default",
    device: DeviceOption = "auto",
    out: OutOption = Path("out"),
) -> None:
    """Masks of all objects, without prompts.

    Example: repvit-sam everything photo.jpg --points-per-side 16 --out result
    """
    from .segment_photos import everything_in_photos

    settings = {
        "points_per_side": points_per_side,
        "pred_iou_thresh": pred_iou,
        "stability_score_thresh": stability,
        "min_mask_region_area": min_area,
        "crop_n_layers": crop_layers,
    }
    with report_errors():
        failures = everything_in_photos(photos, settings, checkpoint, device, out)
    _exit_if_failed(failures)


def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="the next free one is taken if it is in use")] = 7860,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in")] = "127.0.0.1",
    checkpoint: CheckpointOption = "default",
    device: DeviceOption = "auto",
    mcp: Annotated[bool, typer.Option("--mcp", help="an MCP tool as well (pip install 'gradio[mcp]')")] = False,
) -> None:
    """The web page: open a photo, click, take the mask."""
    try:
        from repvit_sam.app.main import serve
    except ImportError as error:
        typer.echo(f"Error: the page needs its extra ({error}): pip install 'repvit-sam[app]'", err=True)
        raise typer.Exit(1) from None
    with report_errors():
        serve(checkpoint, device, host, port, mcp)


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


def _exit_if_failed(failures: int) -> None:
    if failures:
        typer.echo(f"{failures} of the photos failed", err=True)
        raise typer.Exit(1)
