"""Zero-shot instance segmentation on COCO or LVIS: mask AP of masks that are prompted with a detector's boxes.

    python eval/instances.py --dataset coco --images coco/val2017 --annotations coco/instances_val2017.json \\
        --boxes coco_vitdet.json --protocol repvit-sam --checkpoint default --out runs/coco

* Boxes: a COCO results list, of which the 100 boxes of highest score in an image are used on COCO, 300 on LVIS. With
  ``--boxes ground-truth`` the table has the mean IoU with the annotations as well.
* Masks: as the protocol says (eval/prompting/box_protocols.py); an option changes any of its choices.
* Results carry no ``bbox``, so that pycocotools takes areas from the masks, as every published script does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from repvit_sam.console import report_errors, spinner
from repvit_sam.eval.datasets.annotations import Annotations, read_annotations
from repvit_sam.eval.datasets.boxes import GROUND_TRUTH, Boxes
from repvit_sam.eval.metrics.instances import coco_results, instance_metrics, match_annotations
from repvit_sam.eval.metrics.lvis_average_precision import check_lvis
from repvit_sam.eval.prompting.box_detections import MAX_DETECTIONS, detect, read_box_prompts
from repvit_sam.eval.prompting.box_protocols import BOX_PROTOCOLS, BoxProtocol, MaskChoice, ScoreRule, find_protocol
from repvit_sam.eval.runner.config import EvaluationConfig, RunConfig
from repvit_sam.eval.runner.evaluate import evaluate
from repvit_sam.eval.runner.options import (
    Checkpoint,
    Device,
    EngineName,
    Limit,
    Out,
    PrecisionName,
    SavePictures,
    Workers,
)
from repvit_sam.eval.runner.pictures import matched_examples
from repvit_sam.eval.runner.results import Summary
from repvit_sam.files import atomic_write, sha256_of
from repvit_sam.jobs.chosen_model import ChosenModel
from repvit_sam.jobs.records import Record
from repvit_sam.photo import read_photo
from repvit_sam.predictor import SamPredictor


@dataclass(frozen=True)
class InstancesConfig(EvaluationConfig):
    """Attributes:
    boxes: a COCO results list, or "ground-truth".
    detections: boxes an image; None for the data set's own number.
    """

    program = "eval/instances.py"

    dataset: str
    images: Path
    annotations: Path
    boxes: str
    detections: int | None
    protocol: BoxProtocol

    def __post_init__(self) -> None:
        if self.dataset not in MAX_DETECTIONS:
            raise ValueError(f"--dataset must be coco or lvis, got {self.dataset!r}")

    @property
    def max_detections(self) -> int:
        return self.detections or MAX_DETECTIONS[self.dataset]

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "dataset": self.dataset,
            "images": str(self.images.resolve()),
            "annotations": sha256_of(self.annotations),
            "boxes": self.boxes if self.boxes == GROUND_TRUTH else sha256_of(self.boxes),
            "detections": self.max_detections,
            **self.protocol.choices,
            **self.run.model.settings,
        }


@dataclass(frozen=True, eq=False)
class InstancesJob:
    """The masks of every box of a photo.

    Attributes:
        paths, boxes: by image id; a photo without a box is not encoded.
    """

    model: ChosenModel
    protocol: BoxProtocol
    paths: Mapping[int, Path]
    boxes: Mapping[int, Boxes]

    @property
    def keys(self) -> Sequence[int]:
        return list(self.boxes)

    def start(self) -> Callable[[int], Record]:
        return partial(self._evaluate, self.model.predictor())

    def _evaluate(self, predictor: SamPredictor, image_id: int) -> Record:
        return {"detections": detect(predictor, read_photo(self.paths[image_id]), self.boxes[image_id], self.protocol)}


def read_data(config: InstancesConfig) -> tuple[Annotations, dict[int, Boxes]]:
    """Annotations, and boxes by image id.

    Raises:
        ValueError: they cannot be evaluated, or there is no box.
    """
    with spinner(f"reading {config.annotations.name}"):
        data = read_annotations(config.annotations, config.images, config.run.limit)
        if config.dataset == "lvis":
            check_lvis(data.content, data.image_ids)
        boxes = read_box_prompts(config.boxes, data, config.max_detections)
    if not boxes:
        raise ValueError(f"none of the {len(data.image_ids)} photos has a box")
    return data, boxes


def summarise(
    config: InstancesConfig, data: Annotations, boxes: Mapping[int, Boxes], records: Mapping[int, Record]
) -> Summary:
    with spinner("computing AP"):
        metrics = instance_metrics(records, data, config.dataset, config.boxes == GROUND_TRUTH)

    def write_detections(out: Path) -> None:
        with atomic_write(out / "detections.json") as beside:
            beside.write_text(json.dumps(coco_results(records)))

    return Summary(
        protocol={**asdict(config.protocol), "dataset": config.dataset, "detections": config.max_detections},
        data={
            "images": str(config.images),
            "annotations": str(config.annotations),
            "boxes": config.boxes,
            "photos": len(data.image_ids),
            "prompts": sum(len(found) for found in boxes.values()),
        },
        metrics=metrics,
        examples=lambda: matched_examples(match_annotations(records, data), data),
        write_files=write_detections,
    )


def main(
    images: Annotated[Path, typer.Option(help="the photos; for LVIS the folder that holds train2017 and val2017")],
    annotations: Annotated[Path, typer.Option(help="the data set's JSON")],
    boxes: Annotated[str, typer.Option(help=f"a COCO results list with a detector's boxes, or {GROUND_TRUTH}")],
    dataset: Annotated[str, typer.Option(help="coco or lvis: whose rules")] = "coco",
    protocol: Annotated[str, typer.Option(help=", ".join(BOX_PROTOCOLS))] = "repvit-sam",
    masks: Annotated[
        str | None, typer.Option(help=f"instead of the protocol's: {', '.join(get_args(MaskChoice))}")
    ] = None,
    refinements: Annotated[
        int | None, typer.Option(help="instead of the protocol's: further passes with box and mask")
    ] = None,
    refine: Annotated[bool | None, typer.Option("--refine", help="a second look at each object")] = None,
    score: Annotated[
        str | None, typer.Option(help=f"instead of the protocol's: {', '.join(get_args(ScoreRule))}")
    ] = None,
    detections: Annotated[int | None, typer.Option(min=1, help="boxes an image (default 100, LVIS 300)")] = None,
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Limit = None,
    figures: SavePictures = False,
) -> None:
    """Mask AP of a checkpoint that is prompted with boxes."""
    with report_errors():
        run = RunConfig(ChosenModel(checkpoint, engine, device, precision), out, workers, limit, figures)
        chosen = find_protocol(protocol, masks=masks, refinements=refinements, refine=refine, score=score)
        config = InstancesConfig(run, dataset, images, annotations, boxes, detections, chosen)
        data, prompts = read_data(config)
        job = InstancesJob(run.model, chosen, data.paths, prompts)
        evaluate(job, config, partial(summarise, config, data, prompts))


if __name__ == "__main__":
    typer.run(main)
