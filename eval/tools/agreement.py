"""How well a student's masks agree with its teacher's, on photographs without any annotation.

    python eval/tools/agreement.py --photos DIR --student small --teacher tinyvit_sam

The teacher segments an object at each point of a grid (the mask of best predicted IoU). Both models then get the same
prompts: the point (each takes its mask of best predicted IoU), and the box of the teacher's object (the single mask).
The result is the mean IoU of their masks. Objects that fill nine tenths of the photo or more are left out, and so are
points on an object that an earlier point has found.
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
    """IoU of the student's and the teacher's mask of one prompt."""

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
    """Both models on one photo, with ``side`` x ``side`` points."""
    student.set_image(photo)
    teacher.set_image(photo)
    points = grid_points(photo, side)
    objects = _best(teacher, points)
    chosen = _different_objects(objects)
    if not chosen:
        return []
    points, objects = points[chosen], [objects[i] for i in chosen]
    boxes = np.array([box_of(mask) for mask in objects])
    by_point = zip(objects, _best(student, points), strict=True)
    by_box = zip(_from_boxes(teacher, boxes), _from_boxes(student, boxes), strict=True)
    return [
        *(Agreement(name, "point", iou(one, other)) for one, other in by_point),
        *(Agreement(name, "box", iou(one, other)) for one, other in by_box),
    ]


def _best(predictor: repvit_sam.SamPredictor, points: NDArray[np.float64]) -> list[Mask]:
    masks, ious, _ = predictor.predict(points, np.ones((len(points), 1), dtype=int), batched=True)
    return [mask[best] for mask, best in zip(masks, ious.argmax(1), strict=True)]


def _from_boxes(predictor: repvit_sam.SamPredictor, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    masks, _, _ = predictor.predict(box=boxes, multimask_output=False, batched=True)
    return masks[:, 0]


def _different_objects(objects: list[Mask]) -> list[int]:
    """Indices of masks that are not empty, not nearly the whole photo, and not an object chosen before."""
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
        student_model, teacher_model = (
            repvit_sam.SamPredictor(repvit_sam.load(name, device)) for name in (student, teacher)
        )
        paths = find_photos(photos)[:limit]
        found: list[Agreement] = []
        with progress_bar() as bar:
            for path in bar.track(paths, description="photos"):
                found += compare(student_model, teacher_model, read_photo(path), path.name, points_per_side)
        if not found:
            raise ValueError("the teacher found no object on these photos; give more --points-per-side")
        typer.echo(f"{student} and {teacher}, {len(paths)} photos, {len(found) // 2} objects")
        for prompt in ("box", "point"):
            ious = [agreement.iou for agreement in found if agreement.prompt == prompt]
            typer.echo(f"{prompt:<6} mean IoU {np.mean(ious):.3f}, median {np.median(ious):.3f}")
        if json_file:
            with atomic_write(json_file) as beside:
                beside.write_text(json.dumps([asdict(agreement) for agreement in found], indent=1))


if __name__ == "__main__":
    typer.run(main)
