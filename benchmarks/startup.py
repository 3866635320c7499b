"""What a person waits for before the first mask: import, `--help`, and a process from its start to a mask.

    python benchmarks/startup.py --checkpoint small --engine torch

Reference: segment_anything. "cold" has an empty cache folder, in which an engine must first convert the model; "warm"
finds what the run before left. The system's own file cache is warm in both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

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
    report,
)

from repvit_sam.console import report_errors

_HERE = str(Path(__file__).parent)
_PREDICT = """
import numpy as np
from PIL import Image
predictor.set_image(np.array(Image.open(repvit_sam.example_photo("coffee"))))
predictor.predict(point_coords=np.array([[300, 200]]), point_labels=np.array([1]))
"""
_OURS = "import repvit_sam; predictor = repvit_sam.SamPredictor(repvit_sam.load({!r}, 'cpu', **{!r}))" + _PREDICT
_THEIRS = (
    "import sys; sys.path.insert(0, {!r}); import repvit_sam, segment_anything; from timing import load_published; "
    "predictor = segment_anything.SamPredictor(load_published({!r}))" + _PREDICT
)


def process(code: list[str], environment: Mapping[str, str]) -> Callable[[], object]:
    """Run Python with these arguments."""
    return lambda: subprocess.run([sys.executable, *code], env=dict(environment), check=True, stdout=subprocess.DEVNULL)


def main(
    checkpoint: CheckpointOption = "small",
    engine: EngineOption = "torch",
    precision: PrecisionOption = None,
    masks: Annotated[bool, typer.Option(help="the first mask too; without it, import and --help alone")] = True,
    rounds: RoundsOption = 3,
    threads: ThreadsOption = None,
    json: JsonOption = None,
) -> None:
    """Milliseconds of whole processes."""
    with report_errors(), tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "REPVIT_SAM_CACHE": cache}
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        name, _, own = engine.partition(":")
        chosen = {"engine": name, **({"precision": own or precision} if own or precision else {})}
        ours = process(["-c", _OURS.format(checkpoint, chosen)], environment)  # imports only what the engine needs
        works: dict[str, Callable[[], object]] = {
            "their import": process(["-c", "import segment_anything"], environment),
            "import": process(["-c", "import repvit_sam"], environment),
            "help": process(["-m", "repvit_sam.cli", "--help"], environment),
        }
        cold = 0.0
        if masks:
            cold = alternate({"cold": ours}, rounds=0)["cold"]
            works["their mask"] = process(["-c", _THEIRS.format(_HERE, checkpoint)], environment)
            works["mask"] = ours
        times = alternate(works, rounds)
        rows = [
            Row("import", times["their import"], times["import"]),
            Row("repvit-sam --help", None, times["help"]),
        ]
        if masks:
            rows.append(Row(f"start to first mask, {engine}, cold", times["their mask"], cold))
            rows.append(Row(f"start to first mask, {engine}, warm", times["their mask"], times["mask"]))
        report(rows, json, {"checkpoint": checkpoint, "rounds": rounds})


if __name__ == "__main__":
    typer.run(main)
