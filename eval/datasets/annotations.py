"""Annotations in the JSON of COCO, LVIS or UVO, and the photos they belong to. All photos are looked for first."""

from __future__ import annotations

import reprlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from repvit_sam.coco_segmentation import LEAST_NUMBERS, segmentation_rle
from repvit_sam.foreign_json import read_foreign_json
from repvit_sam.masks import Mask
from repvit_sam.rle import Rle, check_size_hw, decode_rle

Annotation = dict[str, Any]  # one entry of "annotations", as in the file


@dataclass(frozen=True)
class Annotations:
    """An annotations file.

    Attributes:
        content: the file as read; treat it as read-only.
        image_ids: the images to evaluate, ascending: all of them, or the first ``limit``.
        paths: image id -> path of the photo.
    """

    path: Path
    content: Mapping[str, Any]
    image_ids: tuple[int, ...]
    paths: Mapping[int, Path]

    @cached_property
    def images(self) -> dict[int, dict[str, Any]]:
        """Image id -> its entry in the file."""
        return {image["id"]: image for image in self.content["images"]}

    @cached_property
    def by_image(self) -> dict[int, list[Annotation]]:
        """Image id -> its annotations, without crowd regions (LVIS has none)."""
        found: dict[int, list[Annotation]] = defaultdict(list)
        for annotation in self.content["annotations"]:
            if not annotation.get("iscrowd", 0):
                found[annotation["image_id"]].append(annotation)
        return found

    def rle_of(self, annotation: Annotation) -> Rle:
        """Compressed RLE at the size of the annotation's image."""
        image = self.images[annotation["image_id"]]
        return annotation_rle(annotation, image.get("height"), image.get("width"))

    def mask_of(self, annotation: Annotation) -> Mask:
        """(H, W) bool at the size of the annotation's image."""
        return decode_rle(self.rle_of(annotation))


def annotation_rle(annotation: Mapping[str, Any], height: Any, width: Any) -> Rle:
    """Polygons, RLE or compressed RLE -> compressed RLE for an image of this size (as the file gives it: unchecked).

    Raises:
        ValueError: the annotation has no segmentation, or one that is no mask of this image.
    """
    segmentation = annotation.get("segmentation")
    if not segmentation:
        raise ValueError(f"annotation {annotation.get('id')} has no segmentation")
    try:
        height, width = check_size_hw((height, width))
        if isinstance(segmentation, list):  # exports have polygons of one or two points, which cover no pixel
            covering = [each for each in segmentation if not isinstance(each, list) or len(each) >= LEAST_NUMBERS]
            segmentation = covering or {"size": [height, width], "counts": [height * width]}
        return segmentation_rle(segmentation, (height, width))
    except ValueError as error:
        raise ValueError(f"annotation {annotation.get('id')}: {error}") from None


def read_annotations(path: Path, images: Path, limit: int | None = None) -> Annotations:
    """Read the file and find the photo of every image to evaluate.

    A photo is looked for in ``images`` by its ``file_name``, then by the last two parts and the last part of its
    ``coco_url``. LVIS v1 has the URL only, with photos of train2017 and val2017 mixed: ``images`` may be the folder
    that holds both.

    Args:
        limit: keep only so many images, those with the lowest ids.

    Raises:
        ValueError: the file is missing or in another format, or photos are missing.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; --annotations takes a JSON file in COCO or LVIS format")
    if not images.is_dir():
        raise ValueError(f"{images}/ is missing; --images takes the folder of the photos")
    try:
        content = read_foreign_json(path)
        entries = {image["id"]: image for image in content["images"]}
        image_ids = sorted(image["id"] for image in content["images"])[:limit]
        for record in (*content["images"], *content["annotations"], *content["categories"]):
            _check_record(record)
        if any("image_id" not in annotation for annotation in content["annotations"]):
            raise KeyError("image_id of an annotation")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not in COCO or LVIS format ({type(error).__name__}: {error})") from None
    paths = {image_id: _photo_path(entries[image_id], images) for image_id in image_ids}
    missing = [image_id for image_id in image_ids if not paths[image_id].is_file()]
    if missing:
        first = paths[missing[0]]
        raise ValueError(f"{len(missing)} of {len(image_ids)} photos of {path.name} are not in {images}/: {first}")
    return Annotations(path, content, tuple(image_ids), paths)


def _check_record(record: Any) -> None:
    """What the programs look up by, or take apart, without another look."""
    if not isinstance(record, dict):
        raise TypeError(f"expected records, got {reprlib.repr(record)}")
    for key in ("id", "image_id", "category_id"):
        if not isinstance(record.get(key, 0), (int, str)):
            raise TypeError(f"{key} must be a number or text, got {reprlib.repr(record[key])}")
    for key in ("file_name", "coco_url"):
        if not isinstance(record.get(key), (str, type(None))):
            raise TypeError(f"{key} must be text, got {reprlib.repr(record[key])}")


def _photo_path(image: Mapping[str, Any], images: Path) -> Path:
    names = [image["file_name"]] if image.get("file_name") else []
    if image.get("coco_url"):  # may be null
        parts = image["coco_url"].split("/")
        names += ["/".join(parts[-2:]), parts[-1]]
    if not names:
        raise ValueError(f"image {image['id']} has neither file_name nor coco_url")
    return next((images / name for name in names if (images / name).is_file()), images / names[0])
