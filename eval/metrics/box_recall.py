"""Proposals -> average recall of their boxes, which papers tell beside that of masks. The judge is pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .average_precision import Curves, images_of, truths_of

Entry = Mapping[str, Any]  # of a COCO file, or a result

_ANY_CATEGORY = 1


def average_box_recall(
    annotations: Entry, results: Sequence[Entry], image_ids: Sequence[int], limits: Sequence[int] = (10, 100, 1000)
) -> dict[str, float | None]:
    """As ``average_precision.average_recall``, but a proposal is the tight box of its mask, and the truth its ``bbox``.

    The truth is small, medium or large by its ``area``, that of its mask, as pycocotools has it for boxes too.

    Raises:
        ValueError: an annotation has no bbox, or what ``average_recall`` raises for annotations.
    """
    images = images_of(annotations, image_ids)
    truths = truths_of(annotations, images)
    if any("bbox" not in truth for truth in truths):
        raise ValueError("an annotation has no 'bbox': no COCO instances file")
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it computes
        judge = COCOeval(_indexed(images, truths), _indexed(images, map(_boxed, results)), "bbox")
        judge.params.maxDets = sorted(limits)
        judge.evaluate()
        judge.accumulate()
    return Curves(judge.eval["precision"], judge.eval["recall"]).average_recall(sorted(limits))


def _boxed(result: Entry) -> dict[str, Any]:
    box_xywh = coco_mask.toBbox(result["segmentation"]).tolist()
    return {**result, "bbox": box_xywh, "area": box_xywh[2] * box_xywh[3], "iscrowd": 0}


def _indexed(images: Mapping[int, Entry], records: Iterable[Entry]) -> COCO:
    """Of one category, with ids from 1: pycocotools takes an id of 0 for no match."""
    coco = COCO()
    coco.dataset = {
        "images": list(images.values()),
        "annotations": [{**record, "id": n, "category_id": _ANY_CATEGORY} for n, record in enumerate(records, 1)],
        "categories": [{"id": _ANY_CATEGORY}],
    }
    coco.createIndex()
    return coco
