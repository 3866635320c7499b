"""Whether large photos cost more: opening one and a click on it, by its number of pixels.

    python benchmarks/photo_size.py --checkpoint small

The network always sees a canvas of the same size; what grows is resizing before it, and masks at photo size after it.
Reference: as in encode.py and clicks.py, segment_anything's predictor, for opening on the unfused network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import segment_anything
import typer
from encode import opening
from PIL import Image
from timing import (
    COFFEE,
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
from repvit_sam.console import report_errors


def photo_of(megapixels: float) -> Any:
    """The photo of a coffee cup, 3:2, enlarged or reduced."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    with Image.open(COFFEE) as picture:
        return np.asarray(picture.convert("RGB").resize((round(height * 1.5), height)))


def main(
    checkpoint: CheckpointOption = "small",
    engine: EngineOption = "torch",
    precision: PrecisionOption = None,
    megapixels: Annotated[list[float] | None, typer.Option(help="by default 0.25, 2, 12 and 48; repeat")] = None,
    rounds: RoundsOption = 3,
    threads: ThreadsOption = None,
    device: str = "cpu",
    json: JsonOption = None,
) -> None:
    """Milliseconds of `set_image` and of a click by size of the photo."""
    with report_errors():
        set_threads(threads)
        predictor = repvit_sam.SamPredictor(load_ours(checkpoint, engine, precision, device))
        reference = segment_anything.SamPredictor(load_published(checkpoint, device))
        rows = []
        for size in megapixels or [0.25, 2, 12, 48]:
            photo = photo_of(size)
            click = {
                "point_coords": np.array([[photo.shape[1] / 2, photo.shape[0] / 2]]),
                "point_labels": np.array([1]),
            }
            works: dict[str, Callable[[], object]] = {
                "their photo": opening(reference, photo),
                "our photo": opening(predictor, photo),
                "their click": lambda click=click: reference.predict(**click),  # type: ignore[misc]
                "our click": lambda click=click: predictor.predict(**click),  # type: ignore[misc]
            }
            times = alternate(works, rounds)
            rows.append(Row(f"open {size:g} megapixels, {engine}", times["their photo"], times["our photo"]))
            rows.append(Row(f"click on {size:g} megapixels, {engine}", times["their click"], times["our click"]))
        report(rows, json, {"checkpoint": checkpoint, "rounds": rounds})


if __name__ == "__main__":
    typer.run(main)
