"""What a person waits for: opening a photo once, then a click, a box, ten boxes; whole `SamPredictor` calls.

    python benchmarks/click.py --checkpoint default --photo photo.jpg

Medians over rounds of all four, one after another.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

import repvit_sam
from repvit_sam.console import report_errors

_COFFEE = repvit_sam.example_photo("coffee")


def questions(predictor: repvit_sam.SamPredictor, photo: np.ndarray[Any, Any]) -> dict[str, Callable[[], object]]:
    """name -> the call to be timed; predictions are NumPy arrays, so a device has finished when they are here."""
    height, width = photo.shape[:2]
    box = np.array([width * 0.25, height * 0.05, width * 0.7, height * 0.7])
    point = [[width / 2, height / 2]]

    def open_photo() -> float:
        predictor.set_image(photo)
        return predictor.features.sum().item()  # waits for the device

    return {
        "open the photo": open_photo,
        "one click, three masks": lambda: predictor.predict(point, [1]),
        "one box, one mask": lambda: predictor.predict(box=box, multimask_output=False),
        "ten boxes, ten masks": lambda: predictor.predict(box=np.tile(box, (10, 1)), multimask_output=False),
    }


def main(
    checkpoint: Annotated[str, typer.Option(help="a name from `repvit-sam weights list`, or a file")] = "default",
    photo: Annotated[Path, typer.Option(help="the photo to open")] = _COFFEE,
    rounds: Annotated[int, typer.Option(help="counted rounds, after one to warm up")] = 10,
    threads: Annotated[int | None, typer.Option(help="CPU threads")] = None,
    device: str = "cpu",
) -> None:
    """Milliseconds of each call."""
    with report_errors():
        if threads:
            torch.set_num_threads(threads)
        picture = repvit_sam.read_photo(photo)
        predictor = repvit_sam.SamPredictor(repvit_sam.load(checkpoint, device))
        calls = questions(predictor, picture)
        times: dict[str, list[float]] = {name: [] for name in calls}
        for count in range(rounds + 1):
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                if count:
                    times[name].append(time.perf_counter() - start)
        size = f"{picture.shape[1]}x{picture.shape[0]}"
        typer.echo(
            f"{checkpoint}, {size} photo, torch {torch.__version__}, {device}, {torch.get_num_threads()} threads"
        )
        for name, values in times.items():
            typer.echo(f"{name:<24} {statistics.median(values) * 1000:6.0f} ms")


if __name__ == "__main__":
    typer.run(main)
