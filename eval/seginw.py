"""Segmentation in the Wild: mean mask AP over 25 small data sets, prompted with a detector's boxes.

    python eval/seginw.py --data seginw --boxes seginw_boxes --checkpoint default --out runs/seginw

A set is ``DATA/NAME/valid/_annotations_min1cat.coco.json`` with its photos beside it, and its boxes are
``BOXES/NAME.json``, a COCO results list with that file's ids; ``--boxes ground-truth`` takes the annotations' own. What
is asked of each set is the question of eval/instances.py. The published protocol is Grounded-SAM's as HQ-SAM's
repository runs it (seginw/): the 100 best boxes of Grounding DINO Swin-B, asked for all class names of a set at once; a
single mask; the detector's score. ``--limit N`` takes the first N sets whole, so that the row of each stays comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from repvit_sam.console import report_errors, spinner
from repvit_sam.eval.datasets.annotations import Annotations, read_annotations
from repvit_sam.eval.datasets.boxes import GROUND_TRUTH, Boxes
from repvit_sam.eval.instances import DETECTIONS, answers_beside_truth, detect, draw, figures_of, read_prompts
from repvit_sam.eval.prompting.box_protocols import BOX_PROTOCOLS, BoxProtocol, find_protocol
from repvit_sam.eval.runner.evaluated_model import EvaluatedModel
from repvit_sam.eval.runner.options import Checkpoint, Device, EngineName, Out, SaveFigures, Workers
from repvit_sam.eval.runner.pictures import Case, save_figures
from repvit_sam.eval.runner.records import Record
from repvit_sam.eval.runner.results import Figures, Results, keep, show
from repvit_sam.eval.runner.run import run
from repvit_sam.files import sha256_of
from repvit_sam.photo import read_photo
from repvit_sam.predictor import SamPredictor

ANNOTATIONS = Path("valid") / "_annotations_min1cat.coco.json"
SETS = (
    *("Airplane-Parts", "Bottles", "Brain-Tumor", "Chicken", "Cows", "Electric-Shaver", "Elephants", "Fruits"),
    *("Garbage", "Ginger-Garlic", "Hand", "Hand-Metal", "House-Parts", "HouseHold-Items", "Nutterfly-Squireel"),
    *("Phones", "Poles", "Puppies", "Rail", "Salmon-Fillet", "Strawberry", "Tablets", "Toolkits", "Trash"),
    "Watermelon",
)
MEAN = "mean"


@dataclass(frozen=True)
class DataSet:
    """One of the 25: what is annotated, and the boxes to prompt with, by image id."""

    annotations: Annotations
    boxes: Mapping[int, Boxes]


@dataclass(frozen=True, eq=False)
class SeginwJob:
    """Masks of every box of every photo of every set.

    Attributes:
        photos: photo and boxes by "SET/image id".
    """

    subject: EvaluatedModel
    protocol: BoxProtocol
    photos: Mapping[str, tuple[Path, Boxes]]

    @property
    def keys(self) -> Sequence[str]:
        return list(self.photos)

    def start(self) -> Callable[[str], Record]:
        return partial(self._evaluate, self.subject.predictor())

    def _evaluate(self, predictor: SamPredictor, key: str) -> Record:
        path, boxes = self.photos[key]
        return {"detections": detect(predictor, read_photo(path), boxes, self.protocol)}


def find_sets(folder: Path) -> list[str]:
    """Names of the folders that hold a data set, in order.

    Raises:
        ValueError: there is none.
    """
    names = sorted(path.name for path in folder.glob("*") if (path / ANNOTATIONS).is_file())
    if not names:
        raise ValueError(f"{folder} is no SegInW folder: expected {folder / SETS[0] / ANNOTATIONS} and so on")
    return names


def read_set(folder: Path, name: str, boxes: str) -> DataSet:
    """Annotations, photos and boxes of one set.

    Raises:
        ValueError: one of them is missing, or they do not fit each other.
    """
    path = folder / name / ANNOTATIONS
    annotations = read_annotations(path, path.parent)
    source = boxes if boxes == GROUND_TRUTH else str(_boxes_file(boxes, name))
    return DataSet(annotations, read_prompts(source, annotations, DETECTIONS["coco"]))


def files_of(folder: Path, names: Sequence[str], boxes: str) -> dict[str, str]:
    """SHA-256 of every file that decides a set's figures, by what it is."""
    found = {f"annotations of {name}": folder / name / ANNOTATIONS for name in names}
    if boxes != GROUND_TRUTH:
        found |= {f"boxes of {name}": _boxes_file(boxes, name) for name in names}
    return {what: sha256_of(path) for what, path in found.items() if path.is_file()}  # --limit needs not all of them


def rows_of(records: Mapping[str, Record], sets: Mapping[str, DataSet], boxes: str) -> dict[str, Figures]:
    """A row a set, and below them the mean of each column over the sets that have a figure there."""
    rows: dict[str, Figures] = {}
    for name, data in sets.items():
        found = {image_id: records[f"{name}/{image_id}"] for image_id in data.boxes}
        rows[name] = figures_of(found, data.annotations, "coco", boxes)
    return {**rows, MEAN: mean_of(list(rows.values()))}


def mean_of(rows: Sequence[Figures]) -> Figures:
    """Of each column; None where no row has a figure."""
    columns = {name: [value for row in rows if (value := row[name]) is not None] for name in rows[0]}
    return {name: float(np.mean(values)) if values else None for name, values in columns.items()}


def _boxes_file(boxes: str, name: str) -> Path:
    return Path(boxes) / f"{name}.json"


def main(
    data: Annotated[Path, typer.Option(help=f"the folder of the data sets, each with {ANNOTATIONS}")],
    boxes: Annotated[str, typer.Option(help=f"a folder with SET.json, COCO results lists; or {GROUND_TRUTH}")],
    protocol: Annotated[str, typer.Option(help=", ".join(BOX_PROTOCOLS))] = "repvit-sam",
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N sets: a subset, and called one")] = None,
    figures: SaveFigures = False,
) -> None:
    """Mask AP of a checkpoint that is prompted with boxes, on each set of SegInW, and its mean."""
    with report_errors():
        if figures and out is None:
            raise ValueError("--save-figures draws into the folder of --out: give one")
        subject, chosen = EvaluatedModel(checkpoint, engine, device), find_protocol(protocol)
        names = find_sets(data)
        with spinner(f"reading {data}"):
            sets = {name: read_set(data, name, boxes) for name in names[:limit]}
            files = files_of(data, names, boxes)
        settings = {
            "program": "eval/seginw.py",
            "data": str(data.resolve()),
            "ground truth": boxes == GROUND_TRUTH,
            **files,
            **chosen.choices,
            "checkpoint": subject.sha256,
            "engine": engine,
        }
        photos = {
            f"{name}/{image_id}": (one.annotations.paths[image_id], found)
            for name, one in sets.items()
            for image_id, found in one.boxes.items()
        }
        if not photos:
            raise ValueError(f"{boxes} holds no box for any photo of {data}")
        done = run(SeginwJob(subject, chosen, photos), out, settings, workers)
        if not done:  # under torchrun the first rank tells
            return
        records = dict(zip(photos, done, strict=True))
        with spinner("computing AP"):
            rows = rows_of(records, sets, boxes)
        complete = "" if set(names) == set(SETS) else ", NOT the 25 of SegInW"
        results = Results(
            program="eval/seginw.py",
            subject=subject,
            protocol={**asdict(chosen), "name": f"{chosen.name}{complete}", "detections": DETECTIONS["coco"]},
            data={
                "folder": str(data),
                "boxes": boxes,
                "sets": len(sets),
                "photos": sum(len(one.annotations.image_ids) for one in sets.values()),
                "prompts": sum(len(found) for _, found in photos.values()),
                **files,
            },
            figures=rows[MEAN],
            seconds=sum(record["seconds"] for record in done),
            limit=limit,
            workers=workers,
            rows=rows,
            unit="sets",
        )
        show(results)
        if out:
            keep(results, out)
        if out and figures:
            save_figures(
                out / "figures",
                [
                    Case(answer.iou, partial(draw, answer, one.annotations))
                    for name, one in sets.items()
                    for answer in answers_beside_truth(
                        {image_id: records[f"{name}/{image_id}"] for image_id in one.boxes}, one.annotations
                    )
                ],
            )


if __name__ == "__main__":
    typer.run(main)
