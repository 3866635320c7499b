"""Photos with their annotated instances, from the JSON of COCO, LVIS or UVO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from repvit_sam.detections import xywh_to_xyxy
from repvit_sam.masks import Mask
from repvit_sam.photo import Photo, read_photo
from repvit_sam.rle import decode_rle

from .annotations import Annotation, annotation_rle, read_annotations
from .boxes import Box


@dataclass(frozen=True)
class Instance:
    """One annotated object.

    Attributes:
        mask: (H, W) bool.
        area: of the annotation, in pixels; decides whether it is small, medium or large.
        box: the annotation's ``bbox``, which may differ from the tight box of the mask by some pixels; None if it has
            none.
    """

    annotation_id: int
    mask: Mask
    area: float
    box: Box | None = None


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo and its instances.

    Attributes:
        entry: the photo's entry in the annotations file: ``id``, ``license``, ``flickr_url``, ...
    """

    path: Path
    photo: Photo
    instances: tuple[Instance, ...]
    entry: Mapping[str, Any]


class CocoFolder:
    """The photos of ``FOLDER/images/``, or of ``FOLDER``, with the instances of ``FOLDER/annotations.json``.

    They are ordered by image id.

    Args:
        folder: may be None if ``images`` and ``annotations`` are given.
        images, annotations: where they are, if not in ``folder``.
        min_area: instances whose annotated area is smaller, in pixels, are left out.
        limit: keep only so many photos.
        crowds: keep crowd regions; they are left out otherwise.
        boxes: every annotation must have a ``bbox``.

    Raises:
        ValueError: the folder, the annotations or photos are missing, or an annotation lacks what is needed.
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
            inside = folder / "images"
            annotations = annotations or folder / "annotations.json"
            images = images or (inside if inside.is_dir() else folder)
        if not images or not annotations:
            raise ValueError("give a folder with images/ and annotations.json, or both --images and --annotations")
        if folder and not (annotations.is_file() and images.is_dir()):
            raise ValueError(
                f"{folder} is no COCO-format folder: expected {annotations}, photos in images/ or beside it"
            )
        self.images, self.annotations = images, annotations
        read = read_annotations(annotations, images, limit)
        self._photos = {str(image_id): (read.paths[image_id], read.images[image_id]) for image_id in read.image_ids}
        self._kept: dict[int, list[Annotation]] = {image_id: [] for image_id in read.image_ids}
        needed = ("id", "area", "segmentation", *(["bbox"] if boxes else []))
        for annotation in read.content["annotations"]:
            kept = self._kept.get(annotation.get("image_id"))  # None: its photo is beyond the limit
            if kept is None or annotation.get("area", min_area) < min_area:
                continue
            if annotation.get("iscrowd", 0) and not crowds:
                continue
            _check_annotation(annotation, needed, annotations)
            kept.append(annotation)
        self.instances = sum(len(kept) for kept in self._kept.values())
        """Number of annotations kept. Photos may give fewer instances: a few polygons of COCO cover no pixel."""

    def __len__(self) -> int:
        return len(self._photos)

    @property
    def keys(self) -> tuple[str, ...]:
        """Image ids as text, in the order of the photos."""
        return tuple(self._photos)

    def entry(self, key: str) -> Mapping[str, Any]:
        """The photo's entry in the annotations file."""
        return self._photos[key][1]

    def __getitem__(self, index: int) -> LabelledPhoto:
        return self.by_key(self.keys[index])

    def by_key(self, key: str) -> LabelledPhoto:
        """Read a photo and its masks.

        Raises:
            ValueError: the photo is of another size than its annotations.
        """
        path, entry = self._photos[key]
        photo = read_photo(path)
        height, width = photo.shape[:2]
        if (entry.get("height", height), entry.get("width", width)) != (height, width):
            raise ValueError(f"{path} is {width}x{height}, its annotations are of another size")
        instances = [_instance(annotation, height, width) for annotation in self._kept[entry["id"]]]
        if any(instance.mask.shape != (height, width) for instance in instances):
            raise ValueError(f"{path} is {width}x{height}, its annotations are of another size")
        # a polygon that covers no pixel cannot be prompted for
        return LabelledPhoto(path, photo, tuple(instance for instance in instances if instance.mask.any()), entry)


def _check_annotation(annotation: Annotation, needed: tuple[str, ...], path: Path) -> None:
    missing = [key for key in needed if not annotation.get(key) and annotation.get(key) != 0]
    if missing:
        raise ValueError(f"annotation {annotation.get('id')} of {path} has no {missing[0]}")
    if "bbox" in needed and min(annotation["bbox"][2:]) < 0:
        raise ValueError(f"annotation {annotation['id']} of {path} has a bbox of negative size")


def _instance(annotation: Annotation, height: int, width: int) -> Instance:
    mask = decode_rle(annotation_rle(annotation, height, width))
    bbox = annotation.get("bbox")
    box = cast(Box, tuple(xywh_to_xyxy([bbox])[0].tolist())) if bbox else None
    return Instance(annotation["id"], mask, float(annotation["area"]), box)
