"""Everything mode: how long, how many masks, how many are the same, and how much memory.

    python benchmarks/everything.py --checkpoint small --points-per-side 32      # 32 is slow: minutes for the reference

Reference: segment_anything's generator on the same weights and with the same thresholds, on the unfused network. Each
run has a process of its own, in turn (A B A B), so that each peak of memory is its own. Masks are the same at an IoU of
0.95 or more.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Annotated

import typer
from alone import Everything, Setup, alone, generate_everything, matched
from timing import (
    COFFEE,
    CheckpointOption,
    EnginesOption,
    JsonOption,
    PhotoOption,
    PrecisionOption,
    Row,
    ThreadsOption,
    report,
)

from repvit_sam.console import report_errors
from repvit_sam.mask_generator import MODES

REFERENCE = (None, "")


def rows_of(engine: str, theirs: list[Everything], ours: list[Everything], points: int) -> list[Row]:
    """Time and memory of one engine in one mode."""
    found, given = theirs[0].masks, ours[0].masks
    known, kept = matched(found, given)
    notes = f"{len(found)} and {len(given)} masks; {known} of theirs in ours, {kept} of ours in theirs"
    time, their_time = (statistics.median(run.milliseconds for run in runs) for runs in (ours, theirs))
    peak, their_peak = (statistics.median(run.peak_mib for run in runs) for runs in (ours, theirs))
    return [
        Row(f"everything, {points}x{points} points, {engine}", their_time, time, notes=notes),
        Row(f"everything, {points}x{points}, {engine}, peak memory", their_peak, peak, unit="MiB"),
    ]


def main(
    checkpoint: CheckpointOption = "small",
    engine: EnginesOption = None,
    precision: PrecisionOption = None,
    photo: PhotoOption = COFFEE,
    points_per_side: Annotated[int, typer.Option(min=1, help="of the grid")] = 16,
    pred_iou: Annotated[float, typer.Option(help="keep masks that the model rates above this")] = 0.88,
    stability: Annotated[float, typer.Option(help="keep masks at least this stable")] = 0.95,
    mode: Annotated[list[str] | None, typer.Option(help="of ours: exact, fast; give it again for both")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="runs of each")] = 1,
    threads: ThreadsOption = None,
    json: JsonOption = None,
) -> None:
    """Milliseconds and peak memory of everything mode, and how its masks compare with segment_anything's."""
    ours = [(one, chosen) for one in engine or ["torch"] for chosen in mode or MODES]
    with report_errors():
        runs: dict[tuple[str | None, str], list[Everything]] = {REFERENCE: [], **{one: [] for one in ours}}
        for _ in range(rounds):
            for (one, chosen), done in runs.items():
                setup = Setup(one, checkpoint, precision, photo, threads, points_per_side, pred_iou, stability)
                done.append(alone(generate_everything, replace(setup, mode=chosen)))
        rows = [row for one in ours for row in rows_of(" ".join(one), runs[REFERENCE], runs[one], points_per_side)]
        settings = {"checkpoint": checkpoint, "rounds": rounds, "pred_iou": pred_iou, "photo": photo.name}
        report(rows, json, settings)


if __name__ == "__main__":
    typer.run(main)
