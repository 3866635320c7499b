"""Where the time of annotating goes, and how large its results are: seconds and bytes a photo.

    python benchmarks/annotate_stages.py --photos DIR --checkpoint small --points-per-side 32

Processor time of one thread, so that other work on the machine does not count. docs/scaling.md calculates with it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import timing
import torch
import typer

from repvit_sam.annotate.forms.choice import find_form
from repvit_sam.annotate.image_masks import ImageMasks
from repvit_sam.annotate.masks import MaskMaker
from repvit_sam.annotate.sources.source_image import SourceImage
from repvit_sam.console import report_errors
from repvit_sam.jobs.chosen_model import ChosenModel
from repvit_sam.photo import find_photos, read_photo

FORMS = ("coco", "parquet", "png", "sa1b")
Result = TypeVar("Result")


class Clock:
    """Processor seconds by stage, summed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, stage: str, work: Callable[[], Result]) -> Result:
        started = time.process_time()
        result = work()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.process_time() - started
        return result


def write(form_name: str, images: list[ImageMasks], folder: Path) -> int:
    """Write the images as one shard; returns the bytes of its files."""
    folder.mkdir()
    writer = find_form(form_name).writer(folder, 0)
    for image in images:
        writer.add(image)
    writer.close()
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(
    photos: Annotated[Path, typer.Option(help="a folder")],
    checkpoint: Annotated[str, typer.Option(help="name or path")] = "small",
    engine: Annotated[str, typer.Option(help="auto, torch or openvino")] = "auto",
    points_per_side: Annotated[int, typer.Option(min=1, help="of everything mode")] = 32,
    count: Annotated[int, typer.Option(min=1, help="how many photos")] = 12,
    json_out: Annotated[Path | None, typer.Option("--json", help="write the figures here too")] = None,
) -> None:
    """Seconds of reading, encoding, mask decoding and writing; bytes of each format."""
    with report_errors(), tempfile.TemporaryDirectory() as scratch:
        torch.set_num_threads(1)
        maker = MaskMaker(ChosenModel(checkpoint, engine), {"points_per_side": points_per_side}, 0.0, 100)
        clock, images, bytes_read = Clock(), [], 0
        predictor = ChosenModel(checkpoint, engine).predictor()
        paths = find_photos([str(photos)])[:count]
        predictor.set_image(read_photo(paths[0]))  # a first call allocates
        for number, path in enumerate(paths, 1):
            content = path.read_bytes()
            bytes_read += len(content)
            photo = clock.timed("read", partial(read_photo, content))
            clock.timed("encode", partial(predictor.set_image, photo))
            masks = clock.timed("masks", partial(maker.masks_of, SourceImage(path.name, path.name), photo))
            images.append(ImageMasks(number, path.name, path.stem, (photo.shape[0], photo.shape[1]), masks))
        clock.seconds["masks"] -= clock.seconds["encode"]  # masks_of encodes as well
        for name in FORMS:
            write(name, [], Path(scratch) / f"empty {name}")  # a first call imports
        sizes = {
            name: clock.timed(f"write {name}", partial(write, name, images, Path(scratch) / name)) for name in FORMS
        }
        figures: dict[str, Any] = {
            "photos": len(images),
            "masks": sum(len(image.masks) for image in images) / len(images),
            "bytes_read": bytes_read / len(images),
            "seconds": {stage: round(seconds / len(images), 4) for stage, seconds in clock.seconds.items()},
            "bytes": {name: round(size / len(images)) for name, size in sizes.items()},
        }
        typer.echo(f"{timing.machine()['processor']}, one thread, {ChosenModel(checkpoint, engine).choice.engine}")
        for stage, seconds in figures["seconds"].items():
            typer.echo(f"{stage:14} {seconds * 1000:9.1f} ms a photo")
        for name, size in figures["bytes"].items():
            typer.echo(f"{name:14} {size:9,} bytes a photo")
        typer.echo(f"{figures['masks']:.1f} masks a photo, {figures['bytes_read']:,.0f} bytes read")
        if json_out:
            json_out.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
