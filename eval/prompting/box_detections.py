"""Box prompts for all photos of a data set, and the masks of one photo's boxes as COCO results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from repvit_sam.photo import Photo
from repvit_sam.predictor import SamPredictor
from repvit_sam.rle import encode_rle

from ..datasets.annotations import Annotations
from ..datasets.boxes import GROUND_TRUTH, Boxes, ground_truth_boxes, read_boxes
from ..datasets.checks import check_boxes, check_instances
from .box_protocols import BoxProtocol, masks_of_boxes

MAX_DETECTIONS = {"coco": 100, "lvis": 300}  # an image, by the data sets' rules


def read_box_prompts(boxes: str, annotations: Annotations, most: int) -> dict[int, Boxes]:
    """Boxes by image id, of the images that have any.

    Args:
        boxes: a COCO results list, or "ground-truth" for the annotations' own boxes.
        most: of a results list, the so many boxes of highest score in each image.

    Raises:
        ValueError: the file of boxes is missing, belongs to another data set, or has boxes far outside the photos;
            annotations or photos that cannot be evaluated (``checks``).
    """
    check_instances(annotations)
    own = boxes == GROUND_TRUTH
    prompts = ground_truth_boxes(annotations) if own else read_boxes(Path(boxes), annotations, most)
    check_boxes(str(annotations.path) if own else boxes, prompts, annotations)
    return prompts


def detect(predictor: SamPredictor, photo: Photo, boxes: Boxes, protocol: BoxProtocol) -> list[dict[str, Any]]:
    """COCO results of one photo without ``image_id``: category_id, score, segmentation (RLE).

    With ground-truth boxes each has the ``annotation_id`` of its box as well.
    """
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
