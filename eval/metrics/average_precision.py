"""COCO's average precision of masks with scores, and average recall of proposals, both computed by pycocotools.

The area of a result is that of its mask. A ``bbox`` in a result is ignored: pycocotools would take the area from
it, and so change APs, APm and APl.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ..datasets.annotations import annotation_rle
from . import Metrics
from .coco_entries import Entry, check_results, entries_of, images_of, truths_of

IouType = Literal["segm", "bbox"]  # of masks, or of their tight boxes

COCO_LIMITS = (1, 10, 100)

_IOU_INDEX = {"50": 0, "75": 5}  # among the thresholds 0.5, 0.55 ... 0.95
_SIZE_INDEX = {"s": 1, "m": 2, "l": 3}  # 0 is all sizes
_ANY_CATEGORY = 1


@dataclass(frozen=True)
class Curves:
    """The arrays that pycocotools accumulates; -1 where nothing is annotated.

    Axes: T IoU thresholds (0.5 to 0.95), R recalls (0 to 1 in steps of 0.01), K categories, 4 sizes (all, small,
    medium, large), M limits on the number of detections.

    Attributes:
        precision: (T, R, K, 4, M), the highest precision at this recall or a higher one.
        recall: (T, K, 4, M), of all detections within the limit.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    def average_precision(self) -> Metrics:
        """AP, AP50, AP75, APs, APm, APl at the largest limit."""
        precision = self.precision[..., -1]
        by_iou = {f"AP{name}": mean_of_defined(precision[t, ..., 0]) for name, t in _IOU_INDEX.items()}
        by_size = {f"AP{name}": mean_of_defined(precision[..., a]) for name, a in _SIZE_INDEX.items()}
        return {"AP": mean_of_defined(precision[..., 0]), **by_iou, **by_size}

    def average_recall(self, limits: Sequence[int]) -> Metrics:
        """AR@K at each limit K; ARs@K, ARm@K, ARl@K at the largest."""
        by_limit = {f"AR@{limit}": mean_of_defined(self.recall[..., 0, m]) for m, limit in enumerate(limits)}
        by_size = {
            f"AR{name}@{limits[-1]}": mean_of_defined(self.recall[..., a, -1]) for name, a in _SIZE_INDEX.items()
        }
        return {**by_limit, **by_size}


def coco_precision(annotations: Entry, results: Sequence[Entry], image_ids: Sequence[int]) -> Metrics:
    """COCO's metrics for masks, each from 0 to 1: AP, AP50, AP75, APs, APm, APl, AR@1, AR@10, AR@100, ARs@100 ...

    Equal to ``COCOeval(..., "segm")``: means over IoU 0.5 to 0.95 and over categories, with at most 100 detections of
    a category in an image. Crowd regions are ignored, and so are detections of a category that the file does not list.

    Args:
        annotations: a COCO instances file as read; it is not changed.
        results: as described in ``coco_entries``.
        image_ids: the images that were evaluated, with or without results. Annotations of others do not count.

    Returns:
        A value is None where nothing of that size is annotated.

    Raises:
        ValueError: annotations, results and image_ids do not belong together.

    Source: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014; pycocotools.
    """
    images = images_of(annotations, image_ids)
    check_results(results, images)
    category_ids = [category["id"] for category in entries_of(annotations, "categories")]
    curves = evaluate(images, truths_of(annotations, images), results, category_ids, COCO_LIMITS)
    return {**curves.average_precision(), **curves.average_recall(COCO_LIMITS)}


def average_recall(
    annotations: Entry,
    results: Sequence[Entry],
    image_ids: Sequence[int],
    limits: Sequence[int] = (10, 100, 1000),
    iou_type: IouType = "segm",
) -> Metrics:
    """Share of the annotated objects that the K best proposals of an image find: AR@K; ARs, ARm, ARl at the largest K.

    Means over IoU 0.5 to 0.95, equal to pycocotools with ``useCats = 0``. Crowd regions are ignored, and so are all
    categories: a proposal needs no ``category_id``. LVIS annotations will do: objects that nobody annotated do not
    change recall. Further arguments, None and errors as in ``coco_precision``.

    Args:
        limits: the values of K.
    """
    if not limits or min(limits) < 1:
        raise ValueError(f"limits must be numbers of proposals from 1 on, got {list(limits)}")
    limits = sorted(set(limits))
    images = images_of(annotations, image_ids)
    # one category for all: useCats = 0 would drop proposals of a category that the annotations do not list
    proposals = [{**result, "category_id": _ANY_CATEGORY} for result in results]
    check_results(proposals, images)
    truths = [{**truth, "category_id": _ANY_CATEGORY} for truth in truths_of(annotations, images)]
    return evaluate(images, truths, proposals, [_ANY_CATEGORY], limits, iou_type=iou_type).average_recall(limits)


def evaluate(
    images: Mapping[int, Entry],
    truths: Iterable[Entry],
    results: Iterable[Entry],
    category_ids: Sequence[int],
    limits: Sequence[int],
    incomplete: Container[tuple[int, int]] = (),
    iou_type: IouType = "segm",
) -> Curves:
    """Run pycocotools on truths and results that were checked (``coco_entries``).

    Args:
        limits: on the detections of a category in an image, ascending.
        incomplete: pairs (image_id, category_id) of which not every object is annotated: results that match no
            annotation are ignored there.
    """
    detections = [_detection(result, iou_type) for result in results]
    truths = [_truth(truth, images[truth["image_id"]], iou_type) for truth in truths]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        coco_eval = COCOeval(
            _indexed(images, truths, category_ids), _indexed(images, detections, category_ids), iou_type
        )
        coco_eval.params.maxDets = list(limits)
        coco_eval.evaluate()
        for matches in filter(None, coco_eval.evalImgs):
            if (matches["image_id"], matches["category_id"]) in incomplete:
                matches["dtIgnore"] |= matches["dtMatches"] == 0
        coco_eval.accumulate()
    return Curves(coco_eval.eval["precision"], coco_eval.eval["recall"])


def mean_of_defined(values: NDArray[np.float64]) -> float | None:
    """Mean of the values that are not -1; None if all are."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else None


def _truth(truth: Entry, image: Entry, iou_type: IouType) -> Entry:
    """With a segmentation that was checked: pycocotools takes whatever it gets."""
    if iou_type == "bbox":
        return truth
    return {**truth, "segmentation": annotation_rle(truth, image.get("height"), image.get("width"))}


def _detection(result: Entry, iou_type: IouType) -> dict[str, Any]:
    rle = result["segmentation"]
    if iou_type == "bbox":
        x, y, width, height = coco_mask.toBbox(rle).tolist()
        return {**result, "bbox": [x, y, width, height], "area": width * height, "iscrowd": 0}
    return {**result, "area": float(coco_mask.area(rle)), "iscrowd": 0}


def _indexed(images: Mapping[int, Entry], entries: Iterable[Entry], category_ids: Sequence[int]) -> COCO:
    """Copies for pycocotools, which changes its input; ids start at 1, as it takes a matched id of 0 for no match."""
    coco = COCO()
    coco.dataset = {
        "images": list(images.values()),
        "annotations": [{**entry, "id": number} for number, entry in enumerate(entries, 1)],
        "categories": [{"id": category_id} for category_id in category_ids],
    }
    coco.createIndex()
    return coco
