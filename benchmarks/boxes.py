"""What many boxes cost: one box, and a hundred in one call, from the encoded photo to RLE.

    python benchmarks/boxes.py --checkpoint small

Beside them the same hundred by segment_anything's own mask decoder, 32 at a time. Medians over rounds of all three, one
after another.
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
from numpy.typing import NDArray
from torch import Tensor

import repvit_sam
from repvit_sam.console import report_errors
from repvit_sam.masks import logits_in_parts
from repvit_sam.modeling.decoder import decode_reference
from repvit_sam.prompts import CanvasPrompts
from repvit_sam.rle import encode_rle

_COFFEE = repvit_sam.example_photo("coffee")
_AT_ONCE = 32


def random_boxes(photo_hw: tuple[int, int], count: int) -> NDArray[np.float64]:
    """(count, 4) XYXY, of all sizes from a twentieth of the photo to half of it, seeded."""
    chance = np.random.default_rng(0)
    size_xy = np.array([photo_hw[1], photo_hw[0]])
    sizes = size_xy * chance.uniform(0.05, 0.5, (count, 2))
    corners = chance.uniform(size=(count, 2)) * (size_xy - sizes)
    return np.concatenate([corners, corners + sizes], axis=1)


def ours(predictor: repvit_sam.SamPredictor, boxes: NDArray[np.float64]) -> list[Any]:
    masks, _, _ = predictor.predict(box=boxes, multimask_output=False, batched=True)
    return [encode_rle(mask[0]) for mask in masks]


@torch.no_grad()
def theirs(predictor: repvit_sam.SamPredictor, boxes: NDArray[np.float64]) -> list[Any]:
    encoded, found = predictor.encoded, []
    for start in range(0, len(boxes), _AT_ONCE):
        on_canvas = encoded.fit.boxes_to_canvas(boxes[start : start + _AT_ONCE])
        prompts: Tensor = torch.as_tensor(on_canvas, dtype=torch.float, device=predictor.device)
        logits, _ = decode_reference(predictor.model, encoded.image_embedding, CanvasPrompts(boxes=prompts))
        for part in logits_in_parts(logits[:, 0], encoded.fit):
            found += [encode_rle(mask) for mask in (part > 0).cpu().numpy()]
    return found


def main(
    checkpoint: Annotated[str, typer.Option(help="a name from `repvit-sam weights list`, or a file")] = "default",
    photo: Annotated[Path, typer.Option(help="the photo to open")] = _COFFEE,
    count: Annotated[int, typer.Option(help="boxes in one call")] = 100,
    rounds: Annotated[int, typer.Option(help="counted rounds, after one to warm up")] = 5,
    threads: Annotated[int | None, typer.Option(help="CPU threads")] = None,
    device: str = "cpu",
) -> None:
    """Milliseconds, and how many single boxes the many are worth."""
    with report_errors():
        if threads:
            torch.set_num_threads(threads)
        picture = repvit_sam.read_photo(photo)
        predictor = repvit_sam.SamPredictor(repvit_sam.load(checkpoint, device))
        predictor.set_image(picture)
        boxes = random_boxes(predictor.original_size, count)
        calls: dict[str, Callable[[], object]] = {
            "one box": lambda: ours(predictor, boxes[:1]),
            f"{count} boxes": lambda: ours(predictor, boxes),
            f"{count}, segment_anything's decoder": lambda: theirs(predictor, boxes),
        }
        times: dict[str, list[float]] = {name: [] for name in calls}
        for turn in range(rounds + 1):
            for name, call in calls.items():
                started = time.perf_counter()
                call()
                if turn:
                    times[name].append(time.perf_counter() - started)
        size = f"{picture.shape[1]}x{picture.shape[0]}"
        typer.echo(
            f"{checkpoint}, {size} photo, torch {torch.__version__}, {device}, {torch.get_num_threads()} threads"
        )
        one = statistics.median(times["one box"])
        for name, values in times.items():
            median = statistics.median(values)
            typer.echo(f"{name:<34} {median * 1000:7.0f} ms  {median / one:6.1f} single boxes")


if __name__ == "__main__":
    typer.run(main)
