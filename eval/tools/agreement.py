"""How far a student's masks are the teacher's, on photographs without any annotation.

    python eval/agreement.py --photos DIR --student small --teacher tinyvit_sam

On a grid of points the teacher says what object lies there (its guess of best predicted IoU). Both then answer the
same prompts: the point (each its best guess), and the box of the teacher's object (the single mask). Reported is the
mean IoU of the two answers. Objects that fill nine tenths of the photo or more, and points on an object that another
point has found, are left out.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

import repvit_sam
from repvit_sam.console import progress_bar, report_errors
from repvit_sam.eval.metrics.iou import iou
from repvit_sam.eval.prompting.ground_truth import box_of
from repvit_sam.files import atomic_write
from repvit_sam.masks import Mask
from repvit_sam.photo import Photo, find_photos, read_photo

_LARGEST_OBJECT = 0.9  # share of the photo
_SAME_OBJECT = 0.8  # IoU


@dataclass(frozen=True)
class Agreement:
    """IoU of student's and teacher's answers to one prompt."""

    photo: str
    prompt: str
    iou: float


def grid_points(photo: Photo, side: int) -> NDArray[np.float64]:
    """(side * side, 1, 2) x and y, evenly spread, none on the border."""
    steps = (np.arange(side) + 0.5) / side
    y, x = np.meshgrid(steps * photo.shape[0], steps * photo.shape[1], indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)[:, None]


def compare(
    student: repvit_sam.SamPredictor, teacher: repvit_sam.SamPredictor, photo: Photo, name: str, side: int
) -> list[Agreement]:
    """Both models' answers on one photo."""
    student.set_image(photo)
    teacher.set_image(photo)
    points = grid_points(photo, side)
    objects = _best(teacher, points)
    chosen = _different_objects(objects)
    if not chosen:
        return []
    points, objects = points[chosen], [objects[i] for i in chosen]
    boxes = np.array([box_of(mask) for mask in objects])
    theirs, _, _ = teacher.predict(box=boxes, multimask_output=False, batched=True)
    mine, _, _ = student.predict(box=boxes, multimask_output=False, batched=True)
    by_point = zip(objects, _best(student, points), strict=True)
    by_box = zip(theirs[:, 0], mine[:, 0], strict=True)
    return [
        *(Agreement(name, "point", iou(their, my)) for their, my in by_point),
        *(Agreement(name, "box", iou(their, my)) for their, my in by_box),
    ]


def _best(predictor: repvit_sam.SamPredictor, points: NDArray[np.float64]) -> list[Mask]:
    masks, ious, _ = predictor.predict(points, np.ones((len(points), 1), dtype=int), batched=True)
    return [mask[best] for mask, best in zip(masks, ious.argmax(1), strict=True)]


def _different_objects(objects: list[Mask]) -> list[int]:
    """Indices of objects that are neither empty, nor nearly the whole photo, nor there already."""
    chosen: list[int] = []
    for index, mask in enumerate(objects):
        if 0 < mask.mean() < _LARGEST_OBJECT and all(iou(mask, objects[i]) < _SAME_OBJECT for i in chosen):
            chosen.append(index)
    return chosen


def main(
    photos: Annotated[list[str], typer.Option(help="a folder, a photo or a 'pattern*.jpg'; repeat")],
    student: str = "small",
    teacher: str = "tinyvit_sam",
    points_per_side: int = 3,
    limit: Annotated[int | None, typer.Option(help="only the first N photos")] = None,
    device: str = "auto",
    json_file: Annotated[Path | None, typer.Option("--json", help="write every comparison here")] = None,
) -> None:
    """Mean IoU between two models' masks under the same prompts."""
    with report_errors():
        learner, model = (repvit_sam.SamPredictor(repvit_sam.load(name, device)) for name in (student, teacher))
        paths = find_photos(photos)[:limit]
        found: list[Agreement] = []
        with progress_bar() as bar:
            for path in bar.track(paths, description="photos"):
                found += compare(learner, model, read_photo(path), path.name, points_per_side)
        if not found:
            raise ValueError("the teacher found no object on these photos; more --points-per-side may")
        typer.echo(f"{student} and {teacher}, {len(paths)} photos, {len(found) // 2} objects")
        for prompt in ("box", "point"):
            ious = [agreement.iou for agreement in found if agreement.prompt == prompt]
            typer.echo(f"{prompt:<6} mean IoU {np.mean(ious):.3f}, median {np.median(ious):.3f}")
        if json_file:
            with atomic_write(json_file) as beside:
                beside.write_text(json.dumps([asdict(agreement) for agreement in found], indent=1))


if __name__ == "__main__":
    typer.run(main)
