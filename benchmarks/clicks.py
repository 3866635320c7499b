"""What a person waits for on an open photo: a click, a box, ten boxes; whole `predict` calls, with masks at photo size.

    python benchmarks/clicks.py --checkpoint default --photo photo.jpg

Reference: segment_anything's predictor on the same weights with the same embedding; ten boxes go through its
`predict_torch`, which takes several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import typer
from timing import (
    COFFEE,
    CheckpointOption,
    EnginesOption,
    JsonOption,
    PhotoOption,
    PrecisionOption,
    RoundsOption,
    Row,
    ThreadsOption,
    alternate,
    load_ours,
    report,
    set_threads,
    with_embedding,
)

import repvit_sam
from repvit_sam.console import report_errors


def prompts_on(photo_hw: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """name -> arguments of `predict`."""
    height, width = photo_hw
    box = np.array([width * 0.25, height * 0.05, width * 0.7, height * 0.7])
    click = {"point_coords": np.array([[width / 2, height / 2]]), "point_labels": np.array([1])}
    return {
        "one click, three masks": click,
        "one box, one mask": {"box": box, "multimask_output": False},
        "ten boxes, ten masks": {"box": np.tile(box, (10, 1)), "multimask_output": False},
    }


def theirs(predictor: Any, arguments: dict[str, Any]) -> Callable[[], object]:
    """The same prompts by segment_anything's predictor."""
    boxes = arguments.get("box")
    if boxes is None or boxes.ndim == 1:
        return lambda: predictor.predict(**arguments)

    def several() -> object:
        given = torch.as_tensor(boxes, dtype=torch.float, device=predictor.device)
        on_canvas = predictor.transform.apply_boxes_torch(given, predictor.original_size)
        return predictor.predict_torch(None, None, on_canvas, multimask_output=False)[0].cpu().numpy()

    return several


def main(
    checkpoint: CheckpointOption = "default",
    engine: EnginesOption = None,
    precision: PrecisionOption = None,
    photo: PhotoOption = COFFEE,
    rounds: RoundsOption = 10,
    threads: ThreadsOption = None,
    device: str = "cpu",
    json: JsonOption = None,
) -> None:
    """Milliseconds of each call, and how many times faster than segment_anything's predictor."""
    engines = engine or ["torch"]
    with report_errors():
        set_threads(threads)
        picture = repvit_sam.read_photo(photo)
        base = repvit_sam.load(checkpoint, device, engine="torch")
        predictors = {}
        for one in engines:
            predictors[one] = repvit_sam.SamPredictor(load_ours(checkpoint, one, precision, device))
            predictors[one].set_image(picture)
        reference = with_embedding(base, predictors[engines[0]])
        rows = []
        for name, arguments in prompts_on((picture.shape[0], picture.shape[1])).items():
            works: dict[str, Callable[[], object]] = {"": theirs(reference, arguments)}
            works |= {one: lambda p=p, a=arguments: p.predict(**a) for one, p in predictors.items()}  # type: ignore[misc]
            times = alternate(works, rounds)
            rows += [Row(f"{name}, {one}", times[""], times[one]) for one in engines]
        settings = {"checkpoint": checkpoint, "rounds": rounds, "photo": list(picture.shape[1::-1])}
        report(rows, json, settings)


if __name__ == "__main__":
    typer.run(main)
