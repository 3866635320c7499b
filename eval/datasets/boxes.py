"""Boxes to prompt with: a detector's, read from a COCO results list, or those of the annotations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from repvit_sam.detection_files import BoxEntry, parse_results, read_json
from repvit_sam.detections import xywh_to_xyxy

from .annotations import Annotations

Box = tuple[float, float, float, float]  # XYXY, photo pixels, continuous
GROUND_TRUTH = "ground-truth"


@dataclass(frozen=True)
class Boxes:
    """The boxes of one image, highest score first.

    Attributes:
        boxes_xyxy: (B, 4) photo pixels, continuous.
        scores: (B,) the detector's; 1 for ground truth.
        category_ids: (B,).
        annotation_ids: (B,) the annotation of each box; None for a detector's boxes.
    """

    boxes_xyxy: NDArray[np.float64]
    scores: NDArray[np.float64]
    category_ids: NDArray[np.int64]
    annotation_ids: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.boxes_xyxy)


def ground_truth_boxes(annotations: Annotations) -> dict[int, Boxes]:
    """Image id -> the ``bbox`` of its annotations, without crowds and boxes of zero size; only images that have any.

    Raises:
        ValueError: an annotation has no bbox.
    """
    found = {}
    for image_id in annotations.image_ids:
        annotated = annotations.by_image.get(image_id, [])
        without = [row for row in annotated if not row.get("bbox")]
        if without:
            raise ValueError(f"annotation {without[0].get('id')} of {annotations.path} has no bbox")
        rows = [row for row in annotated if row["bbox"][2] > 0 and row["bbox"][3] > 0]
        if rows:
            found[image_id] = Boxes(
                xywh_to_xyxy([row["bbox"] for row in rows]),
                np.ones(len(rows)),
                np.array([row["category_id"] for row in rows]),
                np.array([row["id"] for row in rows]),
            )
    return found


def read_boxes(path: Path, annotations: Annotations, most: int) -> dict[int, Boxes]:
    """A COCO results list (``[{"image_id", "category_id", "bbox": xywh, "score"}, ...]``) -> image id to boxes.

    detectron2, mmdetection, EfficientViT-SAM and TinySAM write detections in this format. Each image keeps the ``most``
    boxes of highest score. Boxes of zero size are dropped: there is nothing to segment in them.

    Raises:
        ValueError: the file is missing, in another format, or of another data set than the annotations.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; --boxes takes a COCO results list, or the word {GROUND_TRUTH}")
    by_image: dict[int, list[BoxEntry]] = defaultdict(list)
    for entry in parse_results(path, read_json(path)):
        if not isinstance(entry.image_id, int):
            raise ValueError(f"{path} has a box without an image_id that is a whole number, got {entry.image_id!r}")
        if not entry.empty:
            by_image[entry.image_id].append(entry)
    _check_same_data_set(path, by_image, annotations)
    return {image_id: _highest(by_image[image_id], most) for image_id in annotations.image_ids if image_id in by_image}


def _check_same_data_set(path: Path, by_image: Mapping[int, Sequence[BoxEntry]], annotations: Annotations) -> None:
    name = annotations.path.name
    unknown = sorted((image_id for image_id in by_image if image_id not in annotations.images), key=str)
    if unknown:
        raise ValueError(
            f"{path} belongs to another data set: {len(unknown)} of its {len(by_image)} images are not in {name}, "
            f"the first {unknown[0]}"
        )
    known = {category["id"] for category in annotations.content["categories"]}
    for image_id, entries in by_image.items():
        for entry in entries:
            if entry.category_id not in known:
                raise ValueError(
                    f"{path} belongs to another data set: it has category {entry.category_id} in image {image_id}, "
                    f"{name} has no such category"
                )


def _highest(entries: Sequence[BoxEntry], most: int) -> Boxes:
    scores = np.array([entry.score for entry in entries])
    order = np.argsort(-scores, kind="stable")[:most]
    best = [entries[i] for i in order]
    return Boxes(
        xywh_to_xyxy([entry.box_xywh for entry in best]),
        scores[order],
        np.array([entry.category_id for entry in best]),
    )
