"""Curves of one run or of several legs on end: loss and mIoU against the photos (or windows) seen.

    python distill/plot.py runs/1 runs/2 runs/3 --out docs/pictures/training.png

Reads each run's ``figures.jsonl``; legs follow each other on the axis in the order given.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from repvit_sam.console import report_errors
from repvit_sam.files import atomic_write


def read_legs(runs: list[Path]) -> list[dict[str, Any]]:
    """All validations of run folders or ``.jsonl`` files, ``images`` counted through; the teacher's line is left out.

    Raises:
        ValueError: a folder without figures.
    """
    lines: list[dict[str, Any]] = []
    seen = 0
    for run in runs:
        path = run if run.suffix == ".jsonl" else run / "figures.jsonl"
        if not path.is_file():
            raise ValueError(f"{run} has no figures.jsonl; give folders that distill/train.py wrote")
        leg = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        leg = [line for line in leg if line["stage"] != "teacher"]
        lines += [{**line, "images": seen + line["images"]} for line in leg]
        seen = lines[-1]["images"] if lines else seen
    return lines


def main(
    runs: Annotated[list[Path], typer.Argument(help="folders of distill/train.py, or .jsonl files, in order")],
    out: Annotated[Path, typer.Option(help="the picture, .png or .svg")],
) -> None:
    """Draw the curves of training."""
    with report_errors():
        from matplotlib.figure import Figure  # a second to import; and no global state this way

        lines = read_legs(runs)
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        errors, masks = figure.subplots(1, 2)
        # the losses of the other stages are on scales of their own
        encoder = [line for line in lines if line["stage"].endswith("encoder")]
        _draw(errors, encoder, {"loss": "training"})
        _draw(errors, lines, {"held_out": "photos held out"})
        errors.set(xlabel="photos or windows seen", ylabel="squared error / teacher's variance")
        names = {"box": "box", "point": "point", "agreement_box": "box, against the teacher's masks"}
        _draw(masks, lines, {**names, "agreement_point": "point, against the teacher's masks"})
        masks.set(xlabel="photos or windows seen", ylabel="mean IoU")
        with atomic_write(out) as beside:
            figure.savefig(beside, dpi=120, format=out.suffix.removeprefix("."))


def _draw(axes: Any, lines: list[dict[str, Any]], names: dict[str, str]) -> None:
    for key, label in names.items():
        points = [(line["images"], line[key]) for line in lines if key in line]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
    axes.locator_params(axis="x", nbins=6)  # else numbers of five digits overlap
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(fontsize=8)


if __name__ == "__main__":
    typer.run(main)
