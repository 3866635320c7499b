"""Average recall of the boxes of proposals, which papers report beside the recall of their masks."""

from __future__ import annotations

from collections.abc import Sequence

from . import Metrics
from .average_precision import average_recall
from .coco_entries import Entry, images_of, truths_of


def average_box_recall(
    annotations: Entry, results: Sequence[Entry], image_ids: Sequence[int], limits: Sequence[int] = (10, 100, 1000)
) -> Metrics:
    """``average_recall`` of boxes: a proposal is the tight box of its mask, the truth an annotation's ``bbox``.

    An annotation is small, medium or large by the area of its mask, as pycocotools has it for boxes too.

    Raises:
        ValueError: an annotation has no bbox, or as in ``average_recall``.
    """
    if any("bbox" not in truth for truth in truths_of(annotations, images_of(annotations, image_ids))):
        raise ValueError("an annotation has no 'bbox'; expected a COCO instances file")
    return average_recall(annotations, results, image_ids, limits, iou_type="bbox")
