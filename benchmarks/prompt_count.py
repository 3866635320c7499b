"""What many boxes cost: one to a hundred in one call on an open photo, from the embedding to RLE.

    python benchmarks/prompt_count.py --checkpoint small

Reference: segment_anything's predictor (`predict_torch`, 32 boxes at a time) on the same weights and embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import torch
import typer
from numpy.typing import NDArray
from timing import (
    COFFEE,
    CheckpointOption,
    EngineOption,
    JsonOption,
    PhotoOption,
    PrecisionOption,
    RoundsOption,
    Row,
    ThreadsOption,
    alternate,
    load_ours,
    random_boxes,
    report,
    set_threads,
    with_embedding,
)

import repvit_sam
from repvit_sam.console import report_errors
from repvit_sam.rle import encode_rle

_AT_ONCE = 32  # their masks at photo size, for a hundred boxes at once, would not fit in every memory


def ours(predictor: repvit_sam.SamPredictor, boxes: NDArray[Any]) -> list[Any]:
    masks, _, _ = predictor.predict(box=boxes, multimask_output=False, batched=True)
    return [encode_rle(mask[0]) for mask in masks]


def theirs(predictor: Any, boxes: NDArray[Any]) -> list[Any]:
    found = []
    for start in range(0, len(boxes), _AT_ONCE):
        part = torch.as_tensor(boxes[start : start + _AT_ONCE], dtype=torch.float, device=predictor.device)
        on_canvas = predictor.transform.apply_boxes_torch(part, predictor.original_size)
        masks, _, _ = predictor.predict_torch(None, None, on_canvas, multimask_output=False)
        found += [encode_rle(mask[0]) for mask in masks.cpu().numpy()]
    return found


def main(
    checkpoint: CheckpointOption = "default",
    engine: EngineOption = "torch",
    precision: PrecisionOption = None,
    photo: PhotoOption = COFFEE,
    count: Annotated[list[int] | None, typer.Option(help="boxes in one call, by default 1, 10 and 100; repeat")] = None,
    rounds: RoundsOption = 3,
    threads: ThreadsOption = None,
    device: str = "cpu",
    json: JsonOption = None,
) -> None:
    """Milliseconds by number of boxes, and how many times faster than segment_anything's predictor."""
    with report_errors():
        set_threads(threads)
        picture = repvit_sam.read_photo(photo)
        predictor = repvit_sam.SamPredictor(load_ours(checkpoint, engine, precision, device))
        predictor.set_image(picture)
        reference = with_embedding(repvit_sam.load(checkpoint, device, engine="torch"), predictor)
        rows = []
        for number in count or [1, 10, 100]:
            boxes = random_boxes(predictor.original_size, number)
            works: dict[str, Callable[[], object]] = {
                "theirs": partial(theirs, reference, boxes),
                "ours": partial(ours, predictor, boxes),
            }
            times = alternate(works, rounds)
            notes = f"{times['ours'] / number:.1f} ms a box"
            rows.append(Row(f"{number} boxes, masks and RLE, {engine}", times["theirs"], times["ours"], notes=notes))
        report(rows, json, {"checkpoint": checkpoint, "rounds": rounds, "photo": list(picture.shape[1::-1])})


if __name__ == "__main__":
    typer.run(main)
