"""``repvit-sam annotate``: masks for whole data sets."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import report_errors
from .options import CheckpointOption, DeviceOption, EngineOption, PrecisionOption

if TYPE_CHECKING:
    from ..annotate.run import Outcome
    from ..jobs.chosen_model import ChosenModel

_PROMPTS, _MASKS, _RUN = "A source with prompts (.json)", "Masks without prompts", "How it is run"


def annotate(
    source: Annotated[
        str,
        typer.Argument(
            help="a folder, 'pattern*', .txt list, image, .tar, .parquet or COCO .json; also s3://... and such"
        ),
    ],
    out: Annotated[Path, typer.Option(help="folder for the results; the same command goes on with a stopped run")],
    form: Annotated[
        str, typer.Option("--format", help="coco (one JSON), parquet, png (label maps) or sa1b (a JSON for each image)")
    ] = "coco",
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N images")] = None,
    preview: Annotated[int | None, typer.Option(min=1, help="write a sheet of N results: OUT/preview.jpg")] = None,
    images: Annotated[
        str | None, typer.Option(help="folder of the images that the file names", rich_help_panel=_PROMPTS)
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(help="for a detector's results: the COCO file with the images", rich_help_panel=_PROMPTS),
    ] = None,
    use: Annotated[
        str,
        typer.Option(
            help="which prompts: boxes, keypoints, points (point_coords), or none for everything",
            rich_help_panel=_PROMPTS,
        ),
    ] = "boxes",
    min_score: Annotated[
        float, typer.Option(help="leave out boxes with a lower score", rich_help_panel=_PROMPTS)
    ] = 0.0,
    max_boxes: Annotated[
        int | None, typer.Option(min=1, help="at most so many boxes an image, best first", rich_help_panel=_PROMPTS)
    ] = None,
    points_per_side: Annotated[
        int, typer.Option(min=1, max=256, help="points along one side of the grid", rich_help_panel=_MASKS)
    ] = 32,
    pred_iou: Annotated[
        float | None,
        typer.Option(
            help="keep masks that the model rates above this; default: the checkpoint's own", rich_help_panel=_MASKS
        ),
    ] = None,
    stability: Annotated[
        float | None,
        typer.Option(help="keep masks at least this stable; default: the checkpoint's own", rich_help_panel=_MASKS),
    ] = None,
    min_area: Annotated[
        int,
        typer.Option(min=0, help="fill holes and drop islands smaller than this, in pixels", rich_help_panel=_MASKS),
    ] = 0,
    crop_layers: Annotated[
        int, typer.Option(min=0, max=4, help="look again at crops, for small objects", rich_help_panel=_MASKS)
    ] = 0,
    mode: Annotated[
        str, typer.Option(help="fast decodes a quarter of the points; exact every one", rich_help_panel=_MASKS)
    ] = "fast",
    checkpoint: CheckpointOption = "default",
    device: DeviceOption = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="processes; default: one for each core, up to 8, or one on a GPU", rich_help_panel=_RUN
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, help="of each worker; another number rounds differently", rich_help_panel=_RUN)
    ] = 1,
    shard_size: Annotated[
        int, typer.Option(min=1, help="images written at once; a killed run loses that many", rich_help_panel=_RUN)
    ] = 64,
    max_pixels: Annotated[
        int | None, typer.Option(min=1, help="larger images fail; default 150 million", rich_help_panel=_RUN)
    ] = None,
    as_listed: Annotated[
        bool,
        typer.Option("--as-listed", help="go on though the source has changed", rich_help_panel=_RUN),
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="make images that failed, after they were mended", rich_help_panel=_RUN),
    ] = False,
    runner: Annotated[
        str, typer.Option(help="local (this machine) or ray (a cluster, or Ray here)", rich_help_panel=_RUN)
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="of a Ray cluster, or auto; default: start Ray here", rich_help_panel=_RUN)
    ] = None,
    gpus_per_worker: Annotated[
        float, typer.Option(min=0, help="under Ray, such as 1 or 0.5", rich_help_panel=_RUN)
    ] = 0,
) -> None:
    """Masks for every image of a data set: of everything, or of the boxes or points given.

    Stop it and give the same command again: it goes on. Images that fail are listed in OUT/failed.jsonl.

    Example: repvit-sam annotate photos/ --out masks --checkpoint small
    """
    with report_errors():
        from ..annotate.config import Making, Running
        from ..annotate.run import annotate as run
        from ..annotate.screen import ConsoleScreen, show_outcome
        from ..annotate.sources.listing import Source
        from ..detections import MAX_BOXES
        from ..jobs.chosen_model import ChosenModel
        from ..photo import MAX_PIXELS

        model = ChosenModel(checkpoint, engine, device, precision)
        everything: dict[str, Any] = {
            "points_per_side": points_per_side,
            "pred_iou_thresh": pred_iou,
            "stability_score_thresh": stability,
            "min_mask_region_area": min_area,
            "crop_n_layers": crop_layers,
            "mode": mode,
        }
        making = Making(
            model=model,
            form=form,
            everything=everything,
            min_score=min_score,
            most_boxes=max_boxes or MAX_BOXES,
            shard_size=shard_size,
            limit=limit,
            max_pixels=max_pixels or MAX_PIXELS,
            threads=threads,
        )
        running = Running(
            workers=workers or _workers(model, runner, gpus_per_worker),
            runner=runner,
            address=address,
            gpus_per_worker=gpus_per_worker,
            as_listed=as_listed,
            retry_failed=retry_failed,
        )
        with _interrupts(), _same_command_goes_on():
            outcome = run(Source(source, images, annotations, use), out, making, running, ConsoleScreen())
        sheet = None
        if preview and outcome.images:
            from ..annotate.preview import write_preview

            sheet = write_preview(out, out / "preview.jpg", preview)
        show_outcome(outcome, sheet)
    _exit(outcome)


def _workers(model: ChosenModel, runner: str, gpus_per_worker: float) -> int:
    # under Ray this machine may have another device than the workers
    on_gpu = gpus_per_worker > 0 if runner == "ray" else model.torch_device.type != "cpu"
    if on_gpu:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)  # each takes about a gigabyte


def _exit(outcome: Outcome) -> None:
    if outcome.failed and not outcome.images:
        raise typer.Exit(1)


@contextmanager
def _interrupts() -> Iterator[None]:
    """The first Ctrl-C stops in order, the second at once, whatever is being done."""

    def stop(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _same_command_goes_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on where it stopped", err=True)
        raise typer.Exit(130) from None
