"""``repvit-sam everything``: masks of all objects."""

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


def everything(
    photos: PhotosArgument,
    points_per_side: Annotated[int, typer.Option(min=1, max=256, help="points along one side of the grid")] = 32,
    pred_iou: Annotated[
        float | None, typer.Option(help="keep masks that the model rates above this; default: the checkpoint's own")
    ] = None,
    stability: Annotated[
        float | None, typer.Option(help="keep masks at least this stable; default: the checkpoint's own")
    ] = None,
    min_area: Annotated[int, typer.Option(min=0, help="fill holes and drop islands smaller than this, in pixels")] = 0,
    crop_layers: Annotated[int, typer.Option(min=0, max=4, help="look again at crops, for small objects")] = 0,
    mode: Annotated[
        str,
        typer.Option(
            help="fast decodes a quarter of the points, those that look least alike; exact decodes every point"
        ),
    ] = "fast",
    checkpoint: CheckpointOption = "default",
    device: DeviceOption = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    calibrate: CalibrateOption = None,
    out: OutOption = Path("out"),
) -> None:
    """Masks of all objects, without prompts.

    Example: repvit-sam everything photo.jpg --points-per-side 16 --out result
    """
    from .photo_files import everything_in_photos

    settings = {
        "points_per_side": points_per_side,
        "pred_iou_thresh": pred_iou,
        "stability_score_thresh": stability,
        "min_mask_region_area": min_area,
        "crop_n_layers": crop_layers,
        "mode": mode,
    }
    model = ModelOptions(checkpoint, device, engine, precision, calibrate)
    with report_errors():
        failures = everything_in_photos(photos, settings, model, out)
    exit_if_failed(failures)
