"""Labelling a folder: from "next" to a photo that can be clicked, encoded ahead or not; and a folder of thousands.

    python benchmarks/labelling.py --photos DIR --checkpoint small

Calls the server functions that the page calls, on copies of photographs. Between two photos a person takes time, which
is when the next one is encoded; here the benchmark waits until that is done.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from timing import CheckpointOption, EngineOption, JsonOption, Row, report

from repvit_sam.app.handlers import Handlers
from repvit_sam.app.labelling.handlers import LabelHandlers
from repvit_sam.app.labelling.label_store import LabelStore
from repvit_sam.app.labelling.photo_folder import PhotoFolder
from repvit_sam.app.service import MaskService
from repvit_sam.app.store import ModelStore, PhotoStore
from repvit_sam.console import report_errors
from repvit_sam.memory import keep_freed_memory
from repvit_sam.photo import find_photos

_MEGABYTE = 2**20


class Window:
    """A page without a browser: the same requests, one after another."""

    def __init__(self, service: MaskService, labels: LabelStore, checkpoint: str) -> None:
        self._functions = {f.__name__: f for f in LabelHandlers(Handlers(service), labels).functions()}
        self._checkpoint = checkpoint

    def call(self, function: str, **request: Any) -> Any:
        async def answered() -> Any:
            return await self._functions[function]({"checkpoint": self._checkpoint, **request})

        answer = asyncio.run(answered())
        if "error" in answer:
            raise ValueError(answer["error"]["message"])
        return answer

    def label(self, name: str, category: int) -> float:
        """Open a photo, click, keep, save; returns the seconds until it was open."""
        started = time.perf_counter()
        opened = self.call("open_folder_photo", name=name)
        seconds = time.perf_counter() - started
        click = {"points": [[opened["width"] / 2, opened["height"] / 2, 1]]}
        self.call("predict", photo=opened["photo"], chain=[click])
        kept = self.call("keep", photo=opened["photo"], chain=[click])
        layers = [{"category": category, "rle": kept["rle"]}] if kept["area"] else []
        self.call("save_labels", name=name, state="done", layers=layers, revision=opened["labels"]["revision"])
        return seconds


def label_twenty(service: MaskService, checkpoint: str, photos: list[Path], ahead: bool) -> float:
    """Median milliseconds from "next" to a photo that can be clicked."""
    with tempfile.TemporaryDirectory() as folder:
        for number, photo in enumerate(photos):
            shutil.copy(photo, Path(folder) / f"{number:02d}{photo.suffix}")
        labels = LabelStore(PhotoFolder(Path(folder)), Path(folder) / "annotations.json")
        window, category = Window(service, labels, checkpoint), labels.add_class("object")
        names, seconds = labels.folder.names, []
        for name, following in zip(names, (*names[1:], None), strict=True):
            seconds.append(window.label(name, int(category)))
            if ahead and following:
                window.call("encode_ahead", name=following)
        labels.close()
    return 1000 * statistics.median(seconds[1:])  # nobody can know the first one before


def open_thousands(service: MaskService, checkpoint: str, photo: Path, count: int) -> tuple[float, float]:
    """Milliseconds until a folder of links to one photo is listed, and megabytes that 400 steps through it keep."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(photo, Path(folder) / "0.jpg")
        for number in range(1, count):
            (Path(folder) / f"{number}.jpg").symlink_to(Path(folder) / "0.jpg")
        started = time.perf_counter()
        labels = LabelStore(PhotoFolder(Path(folder)), Path(folder) / "annotations.json")
        window = Window(service, labels, checkpoint)
        listed = json.dumps(window.call("folder"))
        milliseconds = 1000 * (time.perf_counter() - started)
        assert len(json.loads(listed)["photos"]) == count
        memory = []
        for step in range(400):
            names = labels.folder.names[step * count // 400 :][:12]
            window.call("thumbnails", names=names)
            window.call("save_labels", name=names[0], state="in work", layers=[])
            memory.append(psutil.Process().memory_info().rss / _MEGABYTE)
        labels.close()
    return milliseconds, memory[-1] - memory[99]


def main(
    photos: Annotated[Path, typer.Option(help="a folder with at least 20 photos")],
    checkpoint: CheckpointOption = "small",
    engine: EngineOption = "auto",
    count: Annotated[int, typer.Option(min=1, help="photos of the large folder")] = 5000,
    json_path: JsonOption = None,
) -> None:
    """Labelling: how long one waits for the next photo."""
    with report_errors():
        service = MaskService(ModelStore(checkpoint, "auto", engine), PhotoStore([]))
        paths = find_photos([str(photos)])[:20]
        alone = label_twenty(service, checkpoint, paths, ahead=False)
        ahead = label_twenty(service, checkpoint, paths, ahead=True)
        opened, grown = open_thousands(service, checkpoint, paths[0], count)
        rows = [
            Row(f"next photo, median of {len(paths) - 1}, encoded ahead", alone, ahead),
            Row(f"folder of {count:,} photos, until it is listed", None, opened),
            Row("memory after 300 more steps in it", None, grown, "MB"),
        ]
        report(rows, json_path, {"checkpoint": checkpoint, "engine": service.models.label})


if __name__ == "__main__":
    keep_freed_memory()
    typer.run(main)
