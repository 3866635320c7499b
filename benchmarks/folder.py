"""A folder of photos, from files to files: milliseconds a photo, with one box in each.

    python benchmarks/folder.py --photos DIR --checkpoint small

Ours is what `repvit-sam segment DIR` does: while one photo is computed, the next is read and resized and the results of
the last are written. References: the same steps one after another, and segment_anything's predictor on the unfused
network, one photo after another, with the same files written.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import segment_anything
import typer
from timing import (
    CheckpointOption,
    EngineOption,
    JsonOption,
    PrecisionOption,
    RoundsOption,
    Row,
    ThreadsOption,
    alternate,
    load_ours,
    load_published,
    report,
    set_threads,
)

import repvit_sam
from repvit_sam.canvas import photo_to_canvas
from repvit_sam.cli.result_files import FoundMask, ObjectPrompt, ResultFiles
from repvit_sam.console import report_errors
from repvit_sam.embedding import EncodedPhoto
from repvit_sam.example_photos import EXAMPLE_PHOTOS
from repvit_sam.jobs.overlap import overlapped
from repvit_sam.photo import Photo, find_photos


class Folder:
    """The three steps for each photo, with one box in its middle."""

    def __init__(self, predictor: Any, out: Path) -> None:
        self.predictor, self.out = predictor, out

    def read(self, path: Path) -> tuple[Photo, Any]:
        photo = repvit_sam.read_photo(path)
        return photo, photo_to_canvas(photo, self.predictor.backend.canvas_size)

    def compute(self, path: Path, opened: tuple[Photo, Any]) -> tuple[Photo, Any]:
        photo, (canvas, fit) = opened
        self.predictor.encoded = EncodedPhoto(self.predictor.backend.encode(canvas), fit)
        return photo, self.predictor.predict(box=_box(photo), multimask_output=False)

    def write(self, path: Path, computed: tuple[Photo, Any]) -> None:
        photo, (masks, ious, _) = computed
        prompt = ObjectPrompt((), tuple(_box(photo).tolist()))
        files = ResultFiles(path, photo, "default", self.out / path.stem)
        files.write_found([FoundMask(prompt, masks[0], float(ious[0]))])


class TheirFolder(Folder):
    """The same by segment_anything's predictor."""

    def read(self, path: Path) -> tuple[Photo, Any]:
        return repvit_sam.read_photo(path), None

    def compute(self, path: Path, opened: tuple[Photo, Any]) -> tuple[Photo, Any]:
        photo, _ = opened
        self.predictor.set_image(photo)
        return photo, self.predictor.predict(box=_box(photo), multimask_output=False)


def _box(photo: Photo) -> Any:
    height, width = photo.shape[:2]
    return np.array([width * 0.25, height * 0.05, width * 0.7, height * 0.7])


def one_by_one(folder: Folder, paths: list[Path]) -> None:
    for path in paths:
        folder.write(path, folder.compute(path, folder.read(path)))


def overlapping(folder: Folder, paths: list[Path]) -> None:
    for _, error in overlapped(paths, folder.read, folder.compute, folder.write, ()):
        assert error is None


def example_folder(folder: Path, count: int) -> list[Path]:
    """The bundled photographs, again and again under other names."""
    folder.mkdir()
    sources = [repvit_sam.example_photo(name) for name in EXAMPLE_PHOTOS]
    return [Path(shutil.copy(sources[n % len(sources)], folder / f"{n:03}.jpg")) for n in range(count)]


def main(
    checkpoint: CheckpointOption = "small",
    engine: EngineOption = "torch",
    precision: PrecisionOption = None,
    photos: Annotated[Path | None, typer.Option(help="a folder; by default copies of the bundled photographs")] = None,
    count: Annotated[int, typer.Option(min=1, help="how many photos")] = 12,
    rounds: RoundsOption = 3,
    threads: ThreadsOption = None,
    json: JsonOption = None,
) -> None:
    """Milliseconds a photo of a folder, and how many times faster than one by one and than the published code."""
    with report_errors(), tempfile.TemporaryDirectory() as scratch:
        set_threads(threads)
        given = find_photos([str(photos)])[:count] if photos else example_folder(Path(scratch) / "photos", count)
        ours = Folder(repvit_sam.SamPredictor(load_ours(checkpoint, engine, precision)), Path(scratch) / "ours")
        theirs = TheirFolder(segment_anything.SamPredictor(load_published(checkpoint)), Path(scratch) / "theirs")
        works: dict[str, Callable[[], object]] = {
            "published": lambda: one_by_one(theirs, given),
            "one by one": lambda: one_by_one(ours, given),
            "overlapped": lambda: overlapping(ours, given),
        }
        times = {name: time / len(given) for name, time in alternate(works, rounds).items()}
        rows = [
            Row(f"folder, a photo, {engine}, against published", times["published"], times["overlapped"]),
            Row(f"folder, a photo, {engine}, against one by one", times["one by one"], times["overlapped"]),
        ]
        report(rows, json, {"checkpoint": checkpoint, "rounds": rounds, "photos": len(given)})


if __name__ == "__main__":
    typer.run(main)
