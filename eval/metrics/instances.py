"""Metrics of masks that were prompted with boxes: AP, and the IoU of each annotation with its mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from repvit_sam.rle import Rle, decode_rle, encode_rle

from ..datasets.annotations import Annotation, Annotations
from .average_precision import coco_precision
from .iou import iou, mean_by_size
from .lvis_average_precision import lvis_precision

AVERAGE_PRECISION = {"coco": coco_precision, "lvis": lvis_precision}

Records = Mapping[int, Mapping[str, Any]]  # by image id; "detections" holds the results of that photo


@dataclass(frozen=True)
class MatchedMask:
    """An annotation and the predicted mask that belongs to it."""

    annotation: Annotation
    rle: Rle
    iou: float


def coco_results(records: Records) -> list[dict[str, Any]]:
    """All detections as one COCO results list."""
    return [
        {"image_id": image_id, **{key: detection[key] for key in ("category_id", "score", "segmentation")}}
        for image_id, record in records.items()
        for detection in record["detections"]
    ]


def instance_metrics(
    records: Records, annotations: Annotations, dataset: str, boxes_are_ground_truth: bool
) -> dict[str, float | None]:
    """AP by IoU, size and (LVIS) frequency; for ground-truth boxes mean IoU as well, by size."""
    precision = AVERAGE_PRECISION[dataset](annotations.content, coco_results(records), annotations.image_ids)
    row = {name: value for name, value in precision.items() if name.startswith("AP")}
    if boxes_are_ground_truth:
        matches = match_annotations(records, annotations)
        means = mean_by_size([match.iou for match in matches], [match.annotation["area"] for match in matches])
        row |= {f"mIoU{'' if size == 'all' else ' ' + size}": mean for size, mean in means.items()}
    return row


def match_annotations(records: Records, annotations: Annotations) -> list[MatchedMask]:
    """The mask of each annotation of the evaluated photos.

    That is the mask of its own box; with a detector's boxes the mask of its category that has the best IoU with it. An
    annotation without any gets an empty mask. Annotations that cover no pixel are left out: COCO has a few polygons
    that thin.
    """
    found = []
    for image_id in annotations.image_ids:
        detections = records[image_id]["detections"] if image_id in records else []
        for annotation in annotations.by_image.get(image_id, []):
            truth = annotations.mask_of(annotation)
            if not truth.any():
                continue
            masks = [decode_rle(one["segmentation"]) for one in detections if _may_match(one, annotation)]
            best = max(masks, key=partial(iou, truth), default=np.zeros_like(truth))
            found.append(MatchedMask(annotation, encode_rle(best), iou(truth, best)))
    return found


def _may_match(detection: Mapping[str, Any], annotation: Annotation) -> bool:
    if "annotation_id" in detection:
        return bool(detection["annotation_id"] == annotation["id"])
    return bool(detection["category_id"] == annotation["category_id"])
