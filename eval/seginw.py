"""Segmentation in the Wild: mean mask AP over 25 small data sets, prompted with a detector's boxes.

    python eval/seginw.py --data seginw --boxes seginw_boxes --checkpoint default --out runs/seginw

A set is ``DATA/NAME/valid/_annotations_min1cat.coco.json`` with its photos beside it, and its boxes are
``BOXES/NAME.json``, a COCO results list with that file's ids; ``--boxes ground-truth`` takes the annotations' own. Each
set is evaluated as eval/instances.py does it. The published protocol is Grounded-SAM's as HQ-SAM's repository runs it
(seginw/): the 100 best boxes of Grounding DINO Swin-B, prompted with all class names of a set at once; a single mask;
the detector's score. ``--limit N`` takes the first N sets whole, so that the row of each stays comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from repvit_sam.console import report_errors, spinner
from repvit_sam.eval.datasets.annotations import Annotations, read_annotations
from repvit_sam.eval.datasets.boxes import GROUND_TRUTH, Boxes
from repvit_sam.eval.metrics import Metrics
from repvit_sam.eval.metrics.instances import instance_metrics, match_annotations
from repvit_sam.eval.prompting.box_detections import MAX_DETECTIONS, detect, read_box_prompts
from repvit_sam.eval.prompting.box_protocols import BOX_PROTOCOLS, BoxProtocol, find_protocol
from repvit_sam.eval.runner.config import EvaluationConfig, RunConfig
from repvit_sam.eval.runner.evaluate import evaluate
from repvit_sam.eval.runner.options import Checkpoint, Device, EngineName, Out, PrecisionName, SavePictures, Workers
from repvit_sam.eval.runner.pictures import Example, matched_examples
from repvit_sam.eval.runner.results import Summary
from repvit_sam.files import sha256_of
from repvit_sam.jobs.chosen_model import ChosenModel
from repvit_sam.jobs.records import Record
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
class SeginwConfig(EvaluationConfig):
    """Attributes:
    data: the folder of the sets.
    boxes: a folder with a COCO results list for each set, or "ground-truth".
    """

    program = "eval/seginw.py"
    unit = "sets"

    data: Path
    boxes: str
    protocol: BoxProtocol

    @cached_property
    def names(self) -> list[str]:
        """Of the folders that hold a data set, in order.

        Raises:
            ValueError: there is none.
        """
        names = sorted(path.name for path in self.data.glob("*") if (path / ANNOTATIONS).is_file())
        if not names:
            raise ValueError(f"{self.data} is no SegInW folder: expected {self.data / SETS[0] / ANNOTATIONS} and so on")
        return names

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of every file that decides the metrics, by what it is."""
        found = {f"annotations of {name}": self.data / name / ANNOTATIONS for name in self.names}
        if self.boxes != GROUND_TRUTH:
            found |= {f"boxes of {name}": Path(self.boxes_of(name)) for name in self.names}
        return {what: sha256_of(path) for what, path in found.items() if path.is_file()}  # --limit needs not all

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "data": str(self.data.resolve()),
            "ground truth": self.boxes == GROUND_TRUTH,
            **self.hashes,
            **self.protocol.choices,
            **self.run.model.settings,
        }

    def boxes_of(self, name: str) -> str:
        """The boxes of one set: "ground-truth", or the file."""
        return self.boxes if self.boxes == GROUND_TRUTH else str(Path(self.boxes) / f"{name}.json")


@dataclass(frozen=True)
class SeginwSet:
    """The annotations of one set, and the boxes by image id."""

    annotations: Annotations
    boxes: Mapping[int, Boxes]


@dataclass(frozen=True, eq=False)
class SeginwJob:
    """The masks of every box of a photo.

    Attributes:
        photos: photo and boxes by "SET/image id".
    """

    model: ChosenModel
    protocol: BoxProtocol
    photos: Mapping[str, tuple[Path, Boxes]]

    @property
    def keys(self) -> Sequence[str]:
        return list(self.photos)

    def start(self) -> Callable[[str], Record]:
        return partial(self._evaluate, self.model.predictor())

    def _evaluate(self, predictor: SamPredictor, key: str) -> Record:
        path, boxes = self.photos[key]
        return {"detections": detect(predictor, read_photo(path), boxes, self.protocol)}


def read_sets(config: SeginwConfig) -> dict[str, SeginwSet]:
    """The sets to evaluate, by name.

    Raises:
        ValueError: annotations, photos or boxes are missing or do not belong together, or there is no box at all.
    """
    sets = {}
    names = config.names
    with spinner(f"reading {config.data}"):
        for name in names[: config.run.limit]:
            path = config.data / name / ANNOTATIONS
            annotations = read_annotations(path, path.parent)
            boxes = read_box_prompts(config.boxes_of(name), annotations, MAX_DETECTIONS["coco"])
            sets[name] = SeginwSet(annotations, boxes)
    if not any(one.boxes for one in sets.values()):
        raise ValueError(f"{config.boxes} holds no box for any photo of {config.data}")
    return sets


def records_of(name: str, one: SeginwSet, records: Mapping[str, Record]) -> dict[int, Record]:
    """The records of one set, by image id."""
    return {image_id: records[f"{name}/{image_id}"] for image_id in one.boxes}


def mean_row(rows: Sequence[Metrics]) -> Metrics:
    """The mean of each column over the sets that have a value there; None where none has."""
    columns = {name: [value for row in rows if (value := row[name]) is not None] for name in rows[0]}
    return {name: float(np.mean(values)) if values else None for name, values in columns.items()}


def summarise(config: SeginwConfig, sets: Mapping[str, SeginwSet], records: Mapping[str, Record]) -> Summary:
    own = config.boxes == GROUND_TRUTH
    with spinner("computing AP"):
        rows: dict[str, Metrics] = {
            name: instance_metrics(records_of(name, one, records), one.annotations, "coco", own)
            for name, one in sets.items()
        }
        rows[MEAN] = mean_row(list(rows.values()))

    def examples() -> list[Example]:
        return [
            example
            for name, one in sets.items()
            for example in matched_examples(
                match_annotations(records_of(name, one, records), one.annotations), one.annotations
            )
        ]

    complete = "" if set(config.names) == set(SETS) else ", NOT the 25 of SegInW"
    return Summary(
        protocol={
            **asdict(config.protocol),
            "name": f"{config.protocol.name}{complete}",
            "detections": MAX_DETECTIONS["coco"],
        },
        data={
            "folder": str(config.data),
            "boxes": config.boxes,
            "sets": len(sets),
            "photos": sum(len(one.annotations.image_ids) for one in sets.values()),
            "prompts": sum(len(boxes) for one in sets.values() for boxes in one.boxes.values()),
            **config.hashes,
        },
        metrics=rows[MEAN],
        rows=rows,
        examples=examples,
    )


def main(
    data: Annotated[Path, typer.Option(help=f"the folder of the data sets, each with {ANNOTATIONS}")],
    boxes: Annotated[str, typer.Option(help=f"a folder with SET.json, COCO results lists; or {GROUND_TRUTH}")],
    protocol: Annotated[str, typer.Option(help=", ".join(BOX_PROTOCOLS))] = "repvit-sam",
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="only the first N sets; the table is then marked as a subset")
    ] = None,
    figures: SavePictures = False,
) -> None:
    """Mask AP of a checkpoint that is prompted with boxes, on each set of SegInW, and its mean."""
    with report_errors():
        run = RunConfig(ChosenModel(checkpoint, engine, device, precision), out, workers, limit, figures)
        config = SeginwConfig(run, data, boxes, find_protocol(protocol))
        sets = read_sets(config)
        photos = {
            f"{name}/{image_id}": (one.annotations.paths[image_id], found)
            for name, one in sets.items()
            for image_id, found in one.boxes.items()
        }
        evaluate(SeginwJob(run.model, config.protocol, photos), config, partial(summarise, config, sets))


if __name__ == "__main__":
    typer.run(main)
