"""Zero-shot instance segmentation on COCO or LVIS: mask AP of masks that are prompted with a detector's boxes.

    python eval/instances.py --dataset coco --images coco/val2017 --annotations coco/instances_val2017.json \\
        --boxes coco_vitdet.json --protocol repvit-sam --checkpoint default --out runs/coco

* Boxes: a COCO results list, 100 an image on COCO and 300 on LVIS, by score; or ``--boxes ground-truth``, which adds
  the mean IoU with the annotations.
* Masks: as the protocol says (eval/protocols.py); any of its choices can be changed by an option.
* Results carry no ``bbox``, so that pycocotools takes areas from the masks, as every published script does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer

from repvit_sam.console import report_errors, spinner
from repvit_sam.eval.datasets.annotations import Annotation, Annotations, read_annotations
from repvit_sam.eval.datasets.boxes import GROUND_TRUTH, Boxes, ground_truth_boxes, read_boxes
from repvit_sam.eval.datasets.checks import check_boxes, check_instances
from repvit_sam.eval.metrics.average_precision import coco_precision
from repvit_sam.eval.metrics.iou import iou, mean_by_size
from repvit_sam.eval.metrics.lvis_average_precision import check_lvis, lvis_precision
from repvit_sam.eval.prompting.box_protocols import (
    BOX_PROTOCOLS,
    BoxProtocol,
    MaskChoice,
    ScoreRule,
    find_protocol,
    masks_of_boxes,
)
from repvit_sam.eval.runner.evaluated_model import EvaluatedModel
from repvit_sam.eval.runner.options import Checkpoint, Device, EngineName, Limit, Out, SaveFigures, Workers
from repvit_sam.eval.runner.pictures import Case, save_figures, truth_and_answer
from repvit_sam.eval.runner.records import Record
from repvit_sam.eval.runner.results import Figures, Results, keep, show
from repvit_sam.eval.runner.run import run
from repvit_sam.files import atomic_write, sha256_of
from repvit_sam.photo import Photo, read_photo
from repvit_sam.predictor import SamPredictor
from repvit_sam.rle import Rle, decode_rle, encode_rle

DETECTIONS = {"coco": 100, "lvis": 300}  # an image, by the data sets' rules
PRECISION = {"coco": coco_precision, "lvis": lvis_precision}


@dataclass(frozen=True, eq=False)
class InstancesJob:
    """Masks of every box of every photo.

    Attributes:
        paths, boxes: by image id; a photo without a box is not encoded.
    """

    subject: EvaluatedModel
    protocol: BoxProtocol
    paths: Mapping[int, Path]
    boxes: Mapping[int, Boxes]

    @property
    def keys(self) -> Sequence[str]:
        return [str(image_id) for image_id in self.boxes]

    def start(self) -> Callable[[str], Record]:
        return partial(self._evaluate, self.subject.predictor())

    def _evaluate(self, predictor: SamPredictor, key: str) -> Record:
        image_id = int(key)
        return {"detections": detect(predictor, read_photo(self.paths[image_id]), self.boxes[image_id], self.protocol)}


@dataclass(frozen=True)
class Answer:
    """The mask that came of an annotation's own box."""

    annotation: Annotation
    rle: Rle
    iou: float


def read_prompts(boxes: str, annotations: Annotations, most: int) -> dict[int, Boxes]:
    """Boxes of each image that has any, from a file or, for ``ground-truth``, the annotations.

    Raises:
        ValueError: no file of boxes, of another data set or far outside of the photos; annotations or photos that
            could not be evaluated (``checks``).
    """
    check_instances(annotations)
    own = boxes == GROUND_TRUTH
    prompts = ground_truth_boxes(annotations) if own else read_boxes(Path(boxes), annotations, most)
    check_boxes(str(annotations.path) if own else boxes, prompts, annotations)
    return prompts


def detect(predictor: SamPredictor, photo: Photo, boxes: Boxes, protocol: BoxProtocol) -> list[dict[str, Any]]:
    """COCO results of one photo, without ``image_id``: category_id, segmentation (RLE), score; for ground-truth boxes
    annotation_id as well."""
    predictor.set_image(photo)
    found = []
    for index, mask, score in masks_of_boxes(predictor, boxes, protocol):
        detection = {
            "category_id": int(boxes.category_ids[index]),
            "score": score,
            "segmentation": encode_rle(mask),
        }
        if boxes.annotation_ids is not None:
            detection["annotation_id"] = int(boxes.annotation_ids[index])
        found.append(detection)
    return found


def coco_results(records: Mapping[int, Record]) -> list[dict[str, Any]]:
    """Records by image id -> one COCO results list."""
    return [
        {"image_id": image_id, **{key: detection[key] for key in ("category_id", "score", "segmentation")}}
        for image_id, record in records.items()
        for detection in record["detections"]
    ]


def answers_beside_truth(records: Mapping[int, Record], annotations: Annotations) -> list[Answer]:
    """The answer to each annotation of the photos evaluated: to its own box, or of a detector's boxes the one of its
    category that fits best. Annotations without a pixel are left out: COCO has a few polygons that thin."""
    found = []
    for image_id in annotations.image_ids:
        detections = records[image_id]["detections"] if image_id in records else []
        for annotation in annotations.by_image.get(image_id, []):
            truth = annotations.mask_of(annotation)
            if not truth.any():
                continue
            masks = [decode_rle(one["segmentation"]) for one in detections if _answers(one, annotation)]
            best = max(masks, key=partial(iou, truth), default=np.zeros_like(truth))
            found.append(Answer(annotation, encode_rle(best), iou(truth, best)))
    return found


def _answers(detection: Mapping[str, Any], annotation: Annotation) -> bool:
    key = "annotation_id" if "annotation_id" in detection else "category_id"
    return bool(detection[key] == annotation["id" if key == "annotation_id" else key])


def figures_of(records: Mapping[int, Record], annotations: Annotations, dataset: str, boxes: str) -> Figures:
    """The row of the table: AP and its parts; for ground-truth boxes mean IoU as well, by size."""
    precision = PRECISION[dataset](annotations.content, coco_results(records), annotations.image_ids)
    row = {name: value for name, value in precision.items() if name.startswith("AP")}
    if boxes == GROUND_TRUTH:
        answers = answers_beside_truth(records, annotations)
        means = mean_by_size([answer.iou for answer in answers], [answer.annotation["area"] for answer in answers])
        row |= {f"mIoU{'' if size == 'all' else ' ' + size}": mean for size, mean in means.items()}
    return row


def draw(answer: Answer, annotations: Annotations) -> Photo:
    """Truth and answer, side by side."""
    photo = read_photo(annotations.paths[answer.annotation["image_id"]])
    truth = annotations.mask_of(answer.annotation)
    return truth_and_answer(photo, truth, decode_rle(answer.rle), f"IoU {answer.iou:.2f}")


def main(
    images: Annotated[Path, typer.Option(help="the photos; for LVIS the folder that holds train2017 and val2017")],
    annotations: Annotated[Path, typer.Option(help="the data set's JSON")],
    boxes: Annotated[str, typer.Option(help=f"a COCO results list with a detector's boxes, or {GROUND_TRUTH}")],
    dataset: Annotated[str, typer.Option(help="coco or lvis: whose rules")] = "coco",
    protocol: Annotated[str, typer.Option(help=", ".join(BOX_PROTOCOLS))] = "repvit-sam",
    masks: Annotated[str | None, typer.Option(help=f"not the protocol's: {', '.join(get_args(MaskChoice))}")] = None,
    refinements: Annotated[int | None, typer.Option(help="not the protocol's: further passes, box and mask")] = None,
    score: Annotated[str | None, typer.Option(help=f"not the protocol's: {', '.join(get_args(ScoreRule))}")] = None,
    detections: Annotated[int | None, typer.Option(min=1, help="boxes an image (default 100, LVIS 300)")] = None,
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Limit = None,
    figures: SaveFigures = False,
) -> None:
    """Mask AP of a checkpoint that is prompted with boxes."""
    with report_errors():
        if dataset not in DETECTIONS:
            raise ValueError(f"--dataset must be coco or lvis, got {dataset!r}")
        if figures and out is None:
            raise ValueError("--save-figures draws into the folder of --out: give one")
        subject = EvaluatedModel(checkpoint, engine, device)
        chosen = find_protocol(protocol, masks=masks, refinements=refinements, score=score)
        with spinner(f"reading {annotations.name}"):
            data = read_annotations(annotations, images, limit)
            most = detections or DETECTIONS[dataset]
            if dataset == "lvis":
                check_lvis(data.content, data.image_ids)
            prompts = read_prompts(boxes, data, most)
            if not prompts:
                raise ValueError(f"none of the {len(data.image_ids)} photos has a box")
        settings = {
            "program": "eval/instances.py",
            "dataset": dataset,
            "images": str(images.resolve()),
            "annotations": sha256_of(annotations),
            "boxes": boxes if boxes == GROUND_TRUTH else sha256_of(boxes),
            "detections": most,
            **chosen.choices,
            "checkpoint": subject.sha256,
            "engine": engine,
        }
        done = run(InstancesJob(subject, chosen, data.paths, prompts), out, settings, workers)
        if not done:  # under torchrun the first rank tells
            return
        records = dict(zip(prompts, done, strict=True))
        with spinner("computing AP"):
            row = figures_of(records, data, dataset, boxes)
        results = Results(
            program="eval/instances.py",
            subject=subject,
            protocol={**asdict(chosen), "dataset": dataset, "detections": most},
            data={
                "images": str(images),
                "annotations": str(annotations),
                "boxes": boxes,
                "photos": len(data.image_ids),
                "prompts": sum(len(found) for found in prompts.values()),
            },
            figures=row,
            seconds=sum(record["seconds"] for record in done),
            limit=limit,
            workers=workers,
        )
        show(results)
        if out:
            keep(results, out)
            with atomic_write(out / "detections.json") as beside:
                beside.write_text(json.dumps(coco_results(records)))
        if out and figures:
            answers = answers_beside_truth(records, data)
            save_figures(out / "figures", [Case(answer.iou, partial(draw, answer, data)) for answer in answers])


if __name__ == "__main__":
    typer.run(main)
