"""Annotations in COCO's format and results of a model: what a metric needs of them, checked and picked out.

A result is ``{"image_id", "category_id", "segmentation", "score"}`` with a compressed RLE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Entry = Mapping[str, Any]  # an image, annotation or category of a COCO file, a result, or the whole file


def entries_of(annotations: Entry, name: str) -> Sequence[Entry]:
    """The list ``name`` of a COCO file: images, annotations or categories.

    Raises:
        ValueError: the file has none.
    """
    if name not in annotations:
        raise ValueError(
            f"annotations in COCO's format have '{name}', these have {', '.join(annotations) or 'nothing'}"
        )
    part: Sequence[Entry] = annotations[name]
    return part


def images_of(annotations: Entry, image_ids: Sequence[int]) -> dict[int, Entry]:
    """Image id -> entry, for the images that were evaluated.

    Raises:
        ValueError: one is not among the annotations' images.
    """
    known = {image["id"]: image for image in entries_of(annotations, "images")}
    unknown = [image_id for image_id in image_ids if image_id not in known]
    if unknown:
        raise ValueError(f"image_ids must be among the annotations' {len(known)} images; {unknown[0]} is not")
    return {image_id: known[image_id] for image_id in image_ids}


def truths_of(annotations: Entry, images: Mapping[int, Entry]) -> list[Entry]:
    """Copies of the annotations of these images, with ``iscrowd`` 0 where it is absent, as in LVIS.

    Raises:
        ValueError: an annotation lacks a key that the metrics need.
    """
    truths = [truth for truth in entries_of(annotations, "annotations") if truth["image_id"] in images]
    for truth in truths:
        missing = [key for key in ("category_id", "segmentation", "area") if key not in truth]
        if missing:
            raise ValueError(f"annotations need '{missing[0]}'; one of image {truth['image_id']} has none")
    return [{"iscrowd": 0, **truth} for truth in truths]


def check_results(results: Iterable[Entry], images: Mapping[int, Entry]) -> None:
    """Every result is of an evaluated image, and has a mask of its size, a category and a score.

    Raises:
        ValueError: names the first that does not.
    """
    for result in results:
        image = images.get(result.get("image_id", -1))
        if image is None:
            raise ValueError(
                f"results must be of images that were evaluated, got one of image {result.get('image_id')}"
            )
        where = f"a result of image {image['id']}"
        rle = result.get("segmentation")
        if not isinstance(rle, Mapping) or not isinstance(rle.get("counts"), str | bytes):
            raise ValueError(f"{where} has no mask; expected 'segmentation' with a compressed RLE")
        if list(rle["size"]) != [image["height"], image["width"]]:
            raise ValueError(f"{where} is {rle['size']} high and wide, the image {[image['height'], image['width']]}")
        if not np.isfinite(result.get("score", np.nan)) or "category_id" not in result:
            raise ValueError(f"{where} needs a 'category_id' and a finite 'score'")
