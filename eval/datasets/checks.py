"""Checks of photos, annotations and boxes before an evaluation starts, so that it does not fail after hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repvit_sam.errors import PromptError
from repvit_sam.photo import photo_size
from repvit_sam.prompts import check_near_photo

from .annotations import Annotation, Annotations
from .boxes import Boxes


def check_instances(annotations: Annotations, needed: Sequence[str] = ("id", "category_id", "area")) -> None:
    """Every photo has the size that the file says, and every annotation a segmentation and the ``needed`` keys.

    Raises:
        ValueError: names the first image or annotation that does not.
    """
    for image_id in annotations.image_ids:
        _check_image(annotations.path, annotations.images[image_id], annotations.paths[image_id])
    image_ids = set(annotations.image_ids)
    for annotation in annotations.content["annotations"]:
        if annotation.get("image_id") in image_ids:
            _check_annotation(annotations, annotation, needed)


def check_boxes(source: str, prompts: Mapping[int, Boxes], annotations: Annotations) -> None:
    """No box is so far outside its photo that the predictor would refuse it.

    Args:
        source: the file of the boxes, for the error message.
        prompts: image id -> boxes.

    Raises:
        ValueError: a box is too far outside.
    """
    for image_id, found in prompts.items():
        image = annotations.images[image_id]
        try:
            check_near_photo(found.boxes_xyxy.reshape(-1, 2, 2), (image["height"], image["width"]), "box")
        except PromptError as error:
            raise ValueError(f"{source}, image {image_id}: {error}") from None


def _check_image(file: Path, image: Mapping[str, Any], path: Path) -> None:
    if not isinstance(image["id"], int):
        raise ValueError(f"{file}: image ids must be whole numbers, as in COCO's format; got {image['id']!r}")
    for side in ("height", "width"):
        if not isinstance(image.get(side), int):
            raise ValueError(f"{file}: image {image['id']} has no {side} in pixels")
    height, width = photo_size(path)
    if (height, width) != (image["height"], image["width"]):
        raise ValueError(
            f"{path} is {width}x{height} (after EXIF orientation), its annotations are for "
            f"{image['width']}x{image['height']}; give the photos that were annotated"
        )


def _check_annotation(annotations: Annotations, annotation: Annotation, needed: Sequence[str]) -> None:
    where = f"annotation {annotation.get('id')} of {annotations.path}"
    missing = [name for name in ("segmentation", *needed) if annotation.get(name) in (None, [])]
    if missing:
        raise ValueError(f"{where} has no {missing[0]}; expected an instances file")
    segmentation, image = annotation["segmentation"], annotations.images[annotation["image_id"]]
    if isinstance(segmentation, Mapping):
        if "counts" not in segmentation or list(segmentation.get("size", ())) != [image["height"], image["width"]]:
            raise ValueError(
                f"{where} must have an RLE of the size of its image, {image['height']} high and {image['width']} wide"
            )
    elif not all(isinstance(part, list) and len(part) >= 4 for part in segmentation):
        raise ValueError(f"{where} must have an RLE, or a list of polygons, each [x, y, x, y, ...]")
