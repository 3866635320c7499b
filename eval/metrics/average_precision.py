"""Masks with scores -> COCO's average precision; proposals -> average recall. pycocotools is the judge.

A result is ``{"image_id", "category_id", "segmentation", "score"}`` with a compressed RLE. Its area is that of the
mask; a ``bbox`` is not looked at, as pycocotools would take the area, and with it APs, APm and APl, from there.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Entry = Mapping[str, Any]  # an image, an annotation or a category of a COCO file, a result, or the whole file
Figures = dict[str, float | None]

COCO_LIMITS = (1, 10, 100)

_PLACE_OF_IOU = {"50": 0, "75": 5}  # among 0.5, 0.55 ... 0.95
_PLACE_OF_SIZE = {"s": 1, "m": 2, "l": 3}  # 0 is all
_ANY_CATEGORY = 1


@dataclass(frozen=True)
class Curves:
    """What pycocotools accumulates; -1 where nothing is annotated.

    The axes are T IoU thresholds (0.5 to 0.95), R recalls (0 to 1 by 0.01), K categories, 4 sizes (all, small, medium,
    large) and M limits of detections.

    Attributes:
        precision: (T, R, K, 4, M), the best at this recall or a higher one.
        recall: (T, K, 4, M), of all detections.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    def average_precision(self) -> Figures:
        """AP, AP50, AP75, APs, APm, APl at the largest limit."""
        precision = self.precision[..., -1]
        by_iou = {f"AP{name}": mean_of_defined(precision[t, ..., 0]) for name, t in _PLACE_OF_IOU.items()}
        by_size = {f"AP{name}": mean_of_defined(precision[..., a]) for name, a in _PLACE_OF_SIZE.items()}
        return {"AP": mean_of_defined(precision[..., 0]), **by_iou, **by_size}

    def average_recall(self, limits: Sequence[int]) -> Figures:
        """AR@K at each limit; ARs@K, ARm@K, ARl@K at the largest."""
        by_limit = {f"AR@{limit}": mean_of_defined(self.recall[..., 0, m]) for m, limit in enumerate(limits)}
        by_size = {
            f"AR{name}@{limits[-1]}": mean_of_defined(self.recall[..., a, -1]) for name, a in _PLACE_OF_SIZE.items()
        }
        return {**by_limit, **by_size}


def coco_precision(annotations: Entry, results: Sequence[Entry], image_ids: Sequence[int]) -> Figures:
    """COCO's table for masks, each figure 0 to 1: AP, AP50, AP75, APs, APm, APl, AR@1, AR@10, AR@100, ARs@100 ...

    The figures of ``COCOeval(..., "segm")``: means over IoU 0.5 to 0.95 and over categories, at most 100 detections
    of a category in a photo, crowd regions ignored. Detections of a category that is not listed are ignored.

    Args:
        annotations: a COCO instances file as read; stays as it is.
        image_ids: the photos that were evaluated. Annotations of others do not count; a photo without results does.

    Returns:
        None for a size of which nothing is annotated.

    Raises:
        ValueError: annotations, results and image_ids do not fit each other.

    Source: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014; pycocotools.
    """
    images = images_of(annotations, image_ids)
    check_results(results, images)
    category_ids = [category["id"] for category in _part(annotations, "categories")]
    curves = evaluate(images, truths_of(annotations, images), results, category_ids, COCO_LIMITS)
    return {**curves.average_precision(), **curves.average_recall(COCO_LIMITS)}


def average_recall(
    annotations: Entry, results: Sequence[Entry], image_ids: Sequence[int], limits: Sequence[int] = (10, 100, 1000)
) -> Figures:
    """How much of all that is annotated the K best proposals of a photo find: AR@K; ARs, ARm, ARl at the largest K.

    Means over IoU 0.5 to 0.95; crowd regions are ignored, and so are all categories: a proposal needs no
    ``category_id``. The annotations may be LVIS's: recall does not ask what else is in the photo.
    The figures of pycocotools with ``useCats = 0``. Arguments, None and errors as in ``coco_precision``.
    """
    if not limits or min(limits) < 1:
        raise ValueError(f"limits must be numbers of proposals from 1 on, got {list(limits)}")
    limits = sorted(set(limits))
    images = images_of(annotations, image_ids)
    # one category for all: useCats = 0 would drop proposals of a category that the annotations do not list
    proposals = [{**result, "category_id": _ANY_CATEGORY} for result in results]
    check_results(proposals, images)
    truths = [{**truth, "category_id": _ANY_CATEGORY} for truth in truths_of(annotations, images)]
    return evaluate(images, truths, proposals, [_ANY_CATEGORY], limits).average_recall(limits)


def evaluate(
    images: Mapping[int, Entry],
    truths: Iterable[Entry],
    results: Iterable[Entry],
    category_ids: Sequence[int],
    limits: Sequence[int],
    incomplete: Container[tuple[int, int]] = (),
) -> Curves:
    """pycocotools on results that were checked.

    Args:
        limits: of detections of a category in a photo, ascending.
        incomplete: (image_id, category_id) where not every object is annotated: what matches none of them is ignored.
    """
    found = [{**result, "area": float(coco_mask.area(result["segmentation"])), "iscrowd": 0} for result in results]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it computes
        judge = COCOeval(_indexed(images, truths, category_ids), _indexed(images, found, category_ids), "segm")
        judge.params.maxDets = list(limits)
        judge.evaluate()
        for matches in filter(None, judge.evalImgs):
            if (matches["image_id"], matches["category_id"]) in incomplete:
                matches["dtIgnore"] |= matches["dtMatches"] == 0
        judge.accumulate()
    return Curves(judge.eval["precision"], judge.eval["recall"])


def images_of(annotations: Entry, image_ids: Sequence[int]) -> dict[int, Entry]:
    """The images that were evaluated, by id."""
    known = {image["id"]: image for image in _part(annotations, "images")}
    unknown = [image_id for image_id in image_ids if image_id not in known]
    if unknown:
        raise ValueError(f"image_ids must be among the annotations' {len(known)} images; {unknown[0]} is not")
    return {image_id: known[image_id] for image_id in image_ids}


def truths_of(annotations: Entry, images: Mapping[int, Entry]) -> list[Entry]:
    """Copies of what is annotated on these images."""
    truths = [truth for truth in _part(annotations, "annotations") if truth["image_id"] in images]
    for truth in truths:
        missing = [key for key in ("category_id", "segmentation", "area") if key not in truth]
        if missing:
            raise ValueError(f"annotations need '{missing[0]}'; one of image {truth['image_id']} has none")
    return [{"iscrowd": 0, **truth} for truth in truths]  # LVIS has no iscrowd


def check_results(results: Iterable[Entry], images: Mapping[int, Entry]) -> None:
    """Every result is a mask with category and score, as large as its image, which was evaluated.

    Raises:
        ValueError: the first that is not.
    """
    for result in results:
        image = images.get(result.get("image_id", -1))
        if image is None:
            raise ValueError(f"results must be of images that were evaluated, got one of {result.get('image_id')}")
        where = f"a result of image {image['id']}"
        rle = result.get("segmentation")
        if not isinstance(rle, Mapping) or not isinstance(rle.get("counts"), str | bytes):
            raise ValueError(f"{where} has no mask; expected 'segmentation' with a compressed RLE")
        if list(rle["size"]) != [image["height"], image["width"]]:
            raise ValueError(f"{where} is {rle['size']} high and wide, the image {[image['height'], image['width']]}")
        if not np.isfinite(result.get("score", np.nan)) or "category_id" not in result:
            raise ValueError(f"{where} needs a 'category_id' and a finite 'score'")


def mean_of_defined(values: NDArray[np.float64]) -> float | None:
    """Mean of what is not -1; None if nothing is left."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else None


def _part(annotations: Entry, name: str) -> Sequence[Entry]:
    if name not in annotations:
        raise ValueError(
            f"annotations in COCO's format have '{name}', these have {', '.join(annotations) or 'nothing'}"
        )
    part: Sequence[Entry] = annotations[name]
    return part


def _indexed(images: Mapping[int, Entry], entries: Iterable[Entry], category_ids: Sequence[int]) -> COCO:
    """Copies for pycocotools, which changes what it is given; numbered from 1, as it takes an id of 0 for no match."""
    coco = COCO()
    coco.dataset = {
        "images": list(images.values()),
        "annotations": [{**entry, "id": number} for number, entry in enumerate(entries, 1)],
        "categories": [{"id": category_id} for category_id in category_ids],
    }
    coco.createIndex()
    return coco
