"""The most memory that a process holds which loads a model, opens a photo, and predicts.

    python benchmarks/memory.py --checkpoint default

Reference: the same work by segment_anything's predictor and generator on the unfused network. Each number comes from a
process of its own; the libraries themselves are part of it, about 400 MiB for PyTorch.
"""

from __future__ import annotations

from typing import Annotated

import typer
from alone import WORKS, Setup, alone, peak_after
from timing import (
    COFFEE,
    CheckpointOption,
    EngineOption,
    JsonOption,
    PhotoOption,
    PrecisionOption,
    Row,
    ThreadsOption,
    report,
)

from repvit_sam.console import report_errors


def main(
    checkpoint: CheckpointOption = "small",
    engine: EngineOption = "torch",
    precision: PrecisionOption = None,
    photo: PhotoOption = COFFEE,
    work: Annotated[list[str] | None, typer.Option(help=f"of {', '.join(WORKS)}; repeat")] = None,
    boxes: Annotated[int, typer.Option(min=1, help="in one call")] = 100,
    points_per_side: Annotated[int, typer.Option(min=1, help="of the grid of everything mode")] = 16,
    threads: ThreadsOption = None,
    json: JsonOption = None,
) -> None:
    """MiB by work. `everything` takes minutes; everything.py gives its memory too."""
    works = work or ["load", "click", "boxes"]
    with report_errors():
        for one in works:
            if one not in WORKS:
                raise ValueError(f"--work must be one of {', '.join(WORKS)}, got {one}")
        rows = []
        for one in works:
            peaks = []
            for kind in (None, engine):
                setup = Setup(kind, checkpoint, precision, photo, threads, points_per_side, boxes=boxes)
                peaks.append(alone(peak_after, setup, one))
            case = f"{boxes} boxes" if one == "boxes" else one
            rows.append(Row(f"peak memory: {case}, {engine}", peaks[0], peaks[1], unit="MiB"))
        report(rows, json, {"checkpoint": checkpoint, "photo": photo.name})


if __name__ == "__main__":
    typer.run(main)
