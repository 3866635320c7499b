"""Annotations in COCO's, LVIS's or UVO's JSON, and the photos that they speak of, found before anything is computed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from repvit_sam.masks import Mask
from repvit_sam.rle import Rle, decode_rle

Annotation = dict[str, Any]  # as it stands in the file


@dataclass(frozen=True)
class Annotations:
    """An annotations file.

    Attributes:
        content: the file as read; nobody changes it.
        image_ids: of the images to be evaluated, ascending: all, or the first of them.
        paths: image id -> photo.
    """

    path: Path
    content: Mapping[str, Any]
    image_ids: tuple[int, ...]
    paths: Mapping[int, Path]

    @cached_property
    def images(self) -> dict[int, dict[str, Any]]:
        return {image["id"]: image for image in self.content["images"]}

    @cached_property
    def by_image(self) -> dict[int, list[Annotation]]:
        """Annotations of each image, crowd regions left out; LVIS has none."""
        found: dict[int, list[Annotation]] = defaultdict(list)
        for annotation in self.content["annotations"]:
            if not annotation.get("iscrowd", 0):
                found[annotation["image_id"]].append(annotation)
        return found

    def rle_of(self, annotation: Annotation) -> Rle:
        """Polygons, or RLE of either kind -> compressed RLE at the size of the image."""
        image = self.images[annotation["image_id"]]
        return annotation_rle(annotation, image["height"], image["width"])

    def mask_of(self, annotation: Annotation) -> Mask:
        return decode_rle(self.rle_of(annotation))


def annotation_rle(annotation: Annotation, height: int, width: int) -> Rle:
    """As ``Annotations.rle_of``, for an image of this size.

    Raises:
        ValueError: the annotation has no outline.
    """
    outline = annotation.get("segmentation")
    if not outline:
        raise ValueError(f"annotation {annotation.get('id')} has no segmentation")
    if isinstance(outline, list):
        rle = coco_mask.merge(coco_mask.frPyObjects(outline, height, width))
    elif isinstance(outline["counts"], list):
        rle = coco_mask.frPyObjects(outline, height, width)
    else:
        rle = outline
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts}


def read_annotations(path: Path, images: Path, limit: int | None = None) -> Annotations:
    """Read the file and find the photo of every image that is to be evaluated.

    A photo lies in ``images`` under its ``file_name``, or under the last parts of its ``coco_url``: LVIS v1 names
    photos of train2017 and val2017 alike, by URL alone, so ``images`` may be the folder that holds both.

    Raises:
        ValueError: not such a file, or photos are missing.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; --annotations takes a JSON file in COCO or LVIS format")
    if not images.is_dir():
        raise ValueError(f"{images}/ is missing; --images takes the folder of the photos")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        image_ids = sorted(image["id"] for image in content["images"])[:limit]
        named = {image["id"]: image for image in content["images"]}
        content["annotations"], content["categories"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not in COCO or LVIS format ({type(error).__name__}: {error})") from None
    paths = {image_id: _photo_of(named[image_id], images) for image_id in image_ids}
    missing = [image_id for image_id in image_ids if not paths[image_id].is_file()]
    if missing:
        first = paths[missing[0]]
        raise ValueError(f"{len(missing)} of {len(image_ids)} photos of {path.name} are not in {images}/: {first}")
    return Annotations(path, content, tuple(image_ids), paths)


def _photo_of(image: Mapping[str, Any], images: Path) -> Path:
    places: Sequence[str] = [image["file_name"]] if image.get("file_name") else []
    if image.get("coco_url"):  # some writers put null
        parts = image["coco_url"].split("/")
        places = [*places, "/".join(parts[-2:]), parts[-1]]
    if not places:
        raise ValueError(f"image {image['id']} has neither file_name nor coco_url")
    return next((images / place for place in places if (images / place).is_file()), images / places[0])
