"""Boxes made from ground truth with the faults of a detector, to use where there is no detector.

    python eval/tools/simulate_boxes.py --annotations DIR/annotations.json --seed 0 --out boxes.json
    python eval/instances.py --images DIR/images --annotations DIR/annotations.json --boxes boxes.json

A true box is left out with some probability; else its four sides are moved by a normally distributed share of its
width or height. False boxes are added at random places. A true box scores higher the better it fits, a false one low,
both with noise. Metrics with such boxes tell models apart; they are not those of a real detector.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.random import Generator

from repvit_sam.console import report_errors
from repvit_sam.files import atomic_write
from repvit_sam.foreign_json import ForeignJsonError, read_foreign_json


@dataclass(frozen=True)
class Faults:
    """Attributes:
    noise: standard deviation of each side's position, as a share of the box's width or height.
    misses: share of true boxes that are left out.
    false_boxes: number of added boxes, as a share of the true boxes of the photo.
    """

    noise: float = 0.05
    misses: float = 0.1
    false_boxes: float = 0.5

    def __post_init__(self) -> None:
        if self.noise < 0 or not 0 <= self.misses <= 1 or self.false_boxes < 0:
            raise ValueError("--noise and --false-boxes must be 0 or more, --misses between 0 and 1")


def simulate(content: dict[str, Any], faults: Faults, seed: int) -> list[dict[str, Any]]:
    """A COCO results list for all images of an annotations file.

    The random numbers of an image depend on the seed and its id alone, so that a subset has the same boxes.
    """
    categories = sorted(category["id"] for category in content["categories"])
    true_boxes: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        if not annotation.get("iscrowd", 0) and min(annotation["bbox"][2:]) > 0:
            true_boxes[annotation["image_id"]].append(annotation)
    results = []
    for image in content["images"]:
        rng = np.random.default_rng((seed, image["id"]))
        truths = true_boxes[image["id"]]
        rows = [_moved_box(one, image, faults, rng) for one in truths if rng.random() >= faults.misses]
        rows += [_false_box(image, categories, rng) for _ in range(rng.poisson(faults.false_boxes * len(truths)))]
        results += [{"image_id": image["id"], **row} for row in rows]
    return results


def _moved_box(annotation: dict[str, Any], image: dict[str, Any], faults: Faults, rng: Generator) -> dict[str, Any]:
    x, y, width, height = annotation["bbox"]
    moved = rng.normal(scale=faults.noise, size=4)
    x0, x1 = x + moved[0] * width, x + width + moved[1] * width
    y0, y1 = y + moved[2] * height, y + height + moved[3] * height
    score = np.clip(0.95 - 2 * np.abs(moved).mean() + rng.normal(scale=0.1), 0.01, 1)
    return _row(annotation["category_id"], (x0, y0, x1, y1), image, score)


def _false_box(image: dict[str, Any], categories: list[int], rng: Generator) -> dict[str, Any]:
    size = np.array([image["width"], image["height"]]) * rng.uniform(0.05, 0.5, size=2)
    corner = rng.uniform(size=2) * (np.array([image["width"], image["height"]]) - size)
    score = np.clip(0.25 + rng.normal(scale=0.15), 0.01, 1)
    return _row(int(rng.choice(categories)), (*corner, *(corner + size)), image, score)


def _row(category_id: int, box_xyxy: tuple[float, ...], image: dict[str, Any], score: float) -> dict[str, Any]:
    x0, x1 = np.clip(sorted((box_xyxy[0], box_xyxy[2])), 0, image["width"])
    y0, y1 = np.clip(sorted((box_xyxy[1], box_xyxy[3])), 0, image["height"])
    box_xywh = [round(float(number), 2) for number in (x0, y0, x1 - x0, y1 - y0)]
    return {"category_id": category_id, "bbox": box_xywh, "score": round(float(score), 4)}


def main(
    annotations: Annotated[Path, typer.Option(help="JSON in COCO or LVIS format")],
    out: Annotated[Path, typer.Option(help="the boxes, a COCO results list")],
    seed: int = 0,
    noise: Annotated[float, typer.Option(help="of each side, as a share of width or height")] = 0.05,
    misses: Annotated[float, typer.Option(help="share of true boxes that are not found")] = 0.1,
    false_boxes: Annotated[float, typer.Option(help="false boxes for each true one")] = 0.5,
) -> None:
    """Write boxes with a detector's faults."""
    with report_errors():
        try:
            content = read_foreign_json(annotations)
            if not all(isinstance(image["id"], int) for image in content["images"]):
                raise TypeError("ids of images must be whole numbers")
            rows = simulate(content, Faults(noise, misses, false_boxes), seed)
        except (ForeignJsonError, KeyError, TypeError) as error:
            raise ValueError(f"{annotations} is not in COCO or LVIS format ({type(error).__name__}: {error})") from None
        with atomic_write(out) as beside:
            beside.write_text(json.dumps(rows), encoding="utf-8")
        typer.echo(f"written: {out}, {len(rows)} boxes on {len(content['images'])} photos", err=True)


if __name__ == "__main__":
    typer.run(main)
