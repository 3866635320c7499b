"""Recall of the proposals of everything mode: of one photo, and of all photos from those of each.

Recall is that of pycocotools at IoU 0.5 to 0.95, whatever the category, of the K proposals of highest rank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from ..datasets.annotations import Annotation, Annotations
from .average_precision import average_recall
from .box_recall import average_box_recall

RANKS: dict[str, Callable[[Mapping[str, Any]], float]] = {
    "mean": lambda proposal: (proposal["predicted_iou"] + proposal["stability_score"]) / 2,
    "predicted-iou": lambda proposal: proposal["predicted_iou"],
    "stability": lambda proposal: proposal["stability_score"],
}
LIMITS = (10, 100, 1000)  # the values of K

_SMALL, _LARGE = 32.0**2, 96.0**2  # COCO's


def rank_proposals(proposals: Sequence[Mapping[str, Any]], rank: str) -> list[dict[str, Any]]:
    """Records of the mask generator -> segmentation and score of the best 1000, best first."""
    scored = [{"segmentation": one["segmentation"], "score": float(RANKS[rank](one))} for one in proposals]
    return sorted(scored, key=lambda proposal: -proposal["score"])[: LIMITS[-1]]


def photo_recall(proposals: Sequence[Mapping[str, Any]], annotations: Annotations, image_id: int) -> dict[str, Any]:
    """Recall on one photo.

    Returns:
        ``masks`` and ``boxes`` (name -> recall); ``truths``, the number of annotations by size; ``proposals``, their
        number; ``best``, as ``best_proposals``.
    """
    truths = annotations.by_image[image_id]
    photo = {
        "images": [annotations.images[image_id]],
        "annotations": [{**truth, "category_id": truth.get("category_id", 1)} for truth in truths],
        "categories": [],
    }
    results = [{**proposal, "image_id": image_id} for proposal in proposals]
    return {
        "masks": average_recall(photo, results, [image_id], LIMITS),
        "boxes": average_box_recall(photo, results, [image_id], LIMITS),
        "truths": count_by_size([truth["area"] for truth in truths]),
        "proposals": len(proposals),
        "best": best_proposals(proposals, annotations, truths),
    }


def best_proposals(
    proposals: Sequence[Mapping[str, Any]], annotations: Annotations, truths: Sequence[Annotation]
) -> list[dict[str, Any]]:
    """The proposal of best IoU with each annotation: annotation_id, iou, segmentation. Left out where no IoU is > 0."""
    masks = [proposal["segmentation"] for proposal in proposals]
    ious = coco_mask.iou(masks, [annotations.rle_of(truth) for truth in truths], [0] * len(truths))
    if not masks or not np.any(ious):
        return []
    found = zip(truths, ious.argmax(0), ious.max(0), strict=True)
    return [
        {"annotation_id": truth["id"], "iou": round(float(best), 4), "segmentation": masks[index]}
        for truth, index, best in found
        if best > 0
    ]


def count_by_size(areas: Sequence[float]) -> dict[str, int]:
    """Number in all, small, medium and large; an area on a border counts for both sides, as in pycocotools."""
    values = np.asarray(areas, dtype=float)
    return {
        "": len(values),
        "s": int((values <= _SMALL).sum()),
        "m": int(((values >= _SMALL) & (values <= _LARGE)).sum()),
        "l": int((values >= _LARGE).sum()),
    }


def mean_recall(records: Sequence[Mapping[str, Any]], kind: str) -> dict[str, float | None]:
    """Recall over all photos: that of each photo, weighted by its number of annotations.

    Recall is a share of the annotations and no match crosses photos, so this equals pycocotools' recall of all photos
    at once, and a photo's record stays small.

    Args:
        records: as ``photo_recall`` makes them.
        kind: "masks" or "boxes".
    """
    metrics: dict[str, float | None] = {}
    for name in records[0][kind]:
        size = name.removeprefix("AR").split("@")[0]
        weights = [record["truths"][size] for record in records]
        found = [weight * record[kind][name] for weight, record in zip(weights, records, strict=True) if weight]
        metrics[name] = sum(found) / sum(weights) if sum(weights) else None
    return metrics
