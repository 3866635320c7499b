"""A COCO-format folder -> photos with their instances."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from pycocotools.coco import COCO

from repvit_sam.masks import Mask
from repvit_sam.photo import Photo, read_photo


@dataclass(frozen=True)
class Instance:
    """One annotated object.

    Attributes:
        mask: (H, W) bool.
        area: of the annotation, in pixels: COCO's small, medium and large go by it.
    """

    annotation_id: int
    mask: Mask
    area: float


@dataclass(frozen=True)
class LabelledPhoto:
    path: Path
    photo: Photo
    instances: tuple[Instance, ...]


class CocoFolder:
    """``DIR/images/*.jpg`` and ``DIR/annotations.json`` in COCO instances format, or wherever the two lie.

    Crowd regions, and instances whose annotated area is below ``min_area`` pixels, are left out.

    Raises:
        ValueError: the folder, the annotations or the photos are not there, or do not fit each other.
    """

    def __init__(
        self,
        folder: Path,
        images: Path | None = None,
        annotations: Path | None = None,
        min_area: float = 1,
        limit: int | None = None,
    ) -> None:
        annotations, images = annotations or folder / "annotations.json", images or folder / "images"
        if not annotations.is_file() or not images.is_dir():
            raise ValueError(f"{folder} is no COCO-format folder: expected {annotations} and {images}/")
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it reads
                self._coco = COCO(str(annotations))
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise ValueError(f"{annotations} is not in COCO instances format ({error})") from None
        self._images = images
        self._min_area = min_area
        self._ids = sorted(self._coco.getImgIds())[:limit]

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> LabelledPhoto:
        image_id = self._ids[index]
        path = self._images / self._coco.imgs[image_id]["file_name"]
        if not path.is_file():
            raise ValueError(f"{path} is annotated but missing")
        photo = read_photo(path)
        try:
            found = self._coco.loadAnns(self._coco.getAnnIds(image_id, iscrowd=False))
            kept = [a for a in found if a["area"] >= self._min_area]
            instances = [Instance(a["id"], self._coco.annToMask(a).astype(bool), float(a["area"])) for a in kept]
        except KeyError as error:
            raise ValueError(f"an annotation of {path.name} has no {error}") from None
        if any(instance.mask.shape != photo.shape[:2] for instance in instances):
            raise ValueError(f"{path} is {photo.shape[1]}x{photo.shape[0]}, its annotations are of another size")
        # COCO holds a few polygons too thin to cover a pixel; there is nothing to prompt for
        return LabelledPhoto(path, photo, tuple(instance for instance in instances if instance.mask.any()))
