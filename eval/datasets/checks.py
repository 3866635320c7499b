"""What would end an evaluation of instances after hours, refused before its first photo."""

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
    """Photos are as large as the file says, and every annotation on them has an outline and what is ``needed``.

    Raises:
        ValueError: the first that is not so, by its id.
    """
    for image_id in annotations.image_ids:
        _check_image(annotations.path, annotations.images[image_id], annotations.paths[image_id])
    wanted = set(annotations.image_ids)
    for annotation in annotations.content["annotations"]:
        if annotation.get("image_id") in wanted:
            _check_annotation(annotations, annotation, needed)


def check_boxes(source: str, prompts: Mapping[int, Boxes], annotations: Annotations) -> None:
    """No box lies so far outside its photo that the predictor would refuse it.

    Raises:
        ValueError: one does.
    """
    for image_id, found in prompts.items():
        image = annotations.images[image_id]
        try:
            check_near_photo(found.boxes_xyxy.reshape(-1, 2, 2), (image["height"], image["width"]), "box")
        except PromptError as error:
            raise ValueError(f"{source}, image {image_id}: {error}") from None


def _check_image(file: Path, image: Mapping[str, Any], path: Path) -> None:
    if not isinstance(image["id"], int):
        raise ValueError(f"{file}: ids of images must be whole numbers, as in COCO's format; got {image['id']!r}")
    for side in ("height", "width"):
        if not isinstance(image.get(side), int):
            raise ValueError(f"{file}: image {image['id']} has no {side} in pixels")
    height, width = photo_size(path)
    if (height, width) != (image["height"], image["width"]):
        raise ValueError(
            f"{path} is {width}x{height} as it is seen (after EXIF orientation), its annotations are of "
            f"{image['width']}x{image['height']}: give the photos that were annotated"
        )


def _check_annotation(annotations: Annotations, annotation: Annotation, needed: Sequence[str]) -> None:
    where = f"annotation {annotation.get('id')} of {annotations.path}"
    missing = [name for name in ("segmentation", *needed) if annotation.get(name) in (None, [])]
    if missing:
        raise ValueError(f"{where} has no {missing[0]}: no instances file")
    outline, image = annotation["segmentation"], annotations.images[annotation["image_id"]]
    if isinstance(outline, Mapping):
        if "counts" not in outline or list(outline.get("size", ())) != [image["height"], image["width"]]:
            raise ValueError(
                f"{where} has an RLE that is not of its image, {image['height']} high and {image['width']} wide"
            )
    elif not all(isinstance(part, list) and len(part) >= 4 for part in outline):
        raise ValueError(f"{where} must have an RLE, or a list of polygons, each [x, y, x, y, ...]")
