"""Photos with the instances that are annotated on them, from COCO's, LVIS's or UVO's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repvit_sam.masks import Mask
from repvit_sam.photo import Photo, read_photo
from repvit_sam.rle import decode_rle

from .annotations import Annotation, annotation_rle, read_annotations

Box = tuple[float, float, float, float]  # XYXY, photo pixels


@dataclass(frozen=True)
class Instance:
    """One annotated object.

    Attributes:
        mask: (H, W) bool.
        area: of the annotation, in pixels: COCO's small, medium and large go by it.
        box: the annotation's ``bbox``, which may differ from the mask's own by some pixels; None where it has none.
    """

    annotation_id: int
    mask: Mask
    area: float
    box: Box | None = None


@dataclass(frozen=True)
class LabelledPhoto:
    """Attributes:
    entry: of the photo, as it stands in the file: ``id``, ``license``, ``flickr_url``, ...
    """

    path: Path
    photo: Photo
    instances: tuple[Instance, ...]
    entry: Mapping[str, Any]


class CocoFolder:
    """``DIR/images/`` and ``DIR/annotations.json``, or wherever the two lie; photos in the order of their ids.

    Crowd regions, and instances whose annotated area is below ``min_area`` pixels, are left out.

    Args:
        folder: may be None where ``images`` and ``annotations`` are given.
        crowds: keep crowd regions.
        boxes: refuse annotations without a ``bbox``.

    Raises:
        ValueError: the folder, the annotations or the photos are not there, or do not fit each other.
    """

    def __init__(
        self,
        folder: Path | None,
        images: Path | None = None,
        annotations: Path | None = None,
        min_area: float = 1,
        limit: int | None = None,
        crowds: bool = False,
        boxes: bool = False,
    ) -> None:
        if folder:
            annotations, images = annotations or folder / "annotations.json", images or folder / "images"
        if not images or not annotations:
            raise ValueError("give a folder with images/ and annotations.json, or both --images and --annotations")
        if folder and not (annotations.is_file() and images.is_dir()):
            raise ValueError(f"{folder} is no COCO-format folder: expected {annotations} and {images}/")
        self.images, self.annotations = images, annotations
        read = read_annotations(annotations, images, limit)
        self._photos = {str(image_id): (read.paths[image_id], read.images[image_id]) for image_id in read.image_ids}
        self._kept: dict[int, list[Annotation]] = {image_id: [] for image_id in read.image_ids}
        needed = ("id", "area", "segmentation", *(["bbox"] if boxes else []))
        for annotation in read.content["annotations"]:
            kept = self._kept.get(annotation.get("image_id"))  # None: on a photo beyond the limit
            if kept is None or annotation.get("area", min_area) < min_area:
                continue
            if annotation.get("iscrowd", 0) and not crowds:
                continue
            missing = [key for key in needed if not annotation.get(key) and annotation.get(key) != 0]
            if missing:
                raise ValueError(f"annotation {annotation.get('id')} of {annotations} has no {missing[0]}")
            if boxes and min(annotation["bbox"][2:]) < 0:
                raise ValueError(f"annotation {annotation['id']} of {annotations} has a bbox of negative size")
            kept.append(annotation)
        self.instances = sum(len(kept) for kept in self._kept.values())
        """How many are annotated. A few of COCO's polygons are too thin to cover a pixel, and are never seen again."""

    def __len__(self) -> int:
        return len(self._photos)

    @property
    def keys(self) -> tuple[str, ...]:
        """Image ids, in the order of the photos."""
        return tuple(self._photos)

    def entry(self, key: str) -> Mapping[str, Any]:
        """Of the photo, as it stands in the file."""
        return self._photos[key][1]

    def __getitem__(self, index: int) -> LabelledPhoto:
        return self.by_key(self.keys[index])

    def by_key(self, key: str) -> LabelledPhoto:
        path, entry = self._photos[key]
        photo = read_photo(path)
        height, width = photo.shape[:2]
        if (entry.get("height", height), entry.get("width", width)) != (height, width):
            raise ValueError(f"{path} is {width}x{height}, its annotations are of another size")
        instances = [_instance(annotation, height, width) for annotation in self._kept[entry["id"]]]
        if any(instance.mask.shape != (height, width) for instance in instances):
            raise ValueError(f"{path} is {width}x{height}, its annotations are of another size")
        # there is nothing to prompt for in a polygon that covers no pixel
        return LabelledPhoto(path, photo, tuple(instance for instance in instances if instance.mask.any()), entry)


def _instance(annotation: Annotation, height: int, width: int) -> Instance:
    mask = decode_rle(annotation_rle(annotation, height, width))
    return Instance(annotation["id"], mask, float(annotation["area"]), _xyxy(annotation.get("bbox")))


def _xyxy(bbox: Sequence[float] | None) -> Box | None:
    if not bbox:
        return None
    x, y, width, height = (float(number) for number in bbox)
    return x, y, x + width, y + height
