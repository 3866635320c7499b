"""Labels -> the files that training programs read: COCO, YOLO, PNG label maps, Pascal VOC.

A file is a name, relative to the data set's folder, and its bytes.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from repvit_sam.photo import photo_size
from repvit_sam.rle import Rle, check_size_hw, decode_rle

from ..shapes import Loop, loops_of, polygons_of, rle_of
from .label_store import LabelStore, split_annotations

Kind = Literal["coco", "coco-polygons", "yolo", "png", "voc"]
File = tuple[str, bytes]

_YOLO_TOLERANCE = 0.5  # pixels between a polygon and its mask's edge
_MAX_PALETTE = 255  # classes or objects; more need 16 bits


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo's labels.

    Attributes:
        stem: its name in the folder without the ending; with it, where photos differ in nothing else.
        objects: index of the class, and the mask as RLE; the lowest first.
    """

    stem: str
    photo_hw: tuple[int, int]
    objects: tuple[tuple[int, Rle], ...]


def export_files(store: LabelStore, kind: Kind) -> Iterator[File]:
    """The files of one kind. A photo that has been looked at and has no objects is part of it."""
    return _EXPORTERS[kind](store)


def labelled_photos(store: LabelStore) -> Iterator[LabelledPhoto]:
    """The folder's photos that the COCO file knows, each with its objects that have masks."""
    index_of = {category["id"]: index for index, category in enumerate(store.classes())}
    stems = Counter(str(PurePosixPath(name).with_suffix("")) for name in store.folder.names)
    for part in store.parts():
        name, image = store.folder.name_of(part.file_name), part.image()
        assert name is not None  # store.parts() gives the folder's own
        stem = str(PurePosixPath(name).with_suffix(""))
        try:
            photo_hw = check_size_hw((image.get("height"), image.get("width")))
        except ValueError:  # the file has none, or none that a photo can have
            photo_hw = photo_size(store.folder.path_of(name))
        shown, _ = split_annotations(part.annotations(), photo_hw)
        objects = tuple((index_of[record["category_id"]], rle) for record, rle in shown)
        yield LabelledPhoto(stem if stems[stem] == 1 else name, photo_hw, objects)


def _coco(store: LabelStore) -> Iterator[File]:
    yield "annotations.json", b"".join(store.document_bytes())


def _coco_polygons(store: LabelStore) -> Iterator[File]:
    """As ``_coco``, with polygons for every mask that has no holes."""
    document = json.loads(b"".join(store.document_bytes()))
    sizes = {image["id"]: (image.get("height"), image.get("width")) for image in document["images"]}
    for record in document["annotations"]:
        rle = isinstance(record.get("segmentation"), dict) and rle_of(record["segmentation"], sizes[record["image_id"]])
        record["segmentation"] = (polygons_of(rle) if rle else None) or record.get("segmentation")
    yield "annotations.json", json.dumps(document, ensure_ascii=False).encode()


def _yolo(store: LabelStore) -> Iterator[File]:
    """One text file a photo, one line an object: index of the class, then x y of each corner as shares of the photo."""
    names = [category["name"] for category in store.classes()]
    for photo in labelled_photos(store):
        height, width = photo.photo_hw
        lines = []
        for class_index, rle in photo.objects:
            mask = decode_rle(rle)
            loops = loops_of(mask, _YOLO_TOLERANCE) or loops_of(mask, 0)  # the first of a few pixels may be none
            corners = np.array(one_loop(loops)) / [width, height]
            lines.append(f"{class_index} " + " ".join(f"{number:.6g}" for number in corners.ravel().tolist()))
        yield f"labels/{photo.stem}.txt", "".join(line + "\n" for line in lines).encode()
    listed = "".join(f"  {index}: {json.dumps(name, ensure_ascii=False)}\n" for index, name in enumerate(names))
    yield "data.yaml", f"path: .\ntrain: images\nval: images\nnames:\n{listed}".encode()


def one_loop(loops: list[Loop]) -> Loop:
    """Several loops as one, joined by bridges without width where they are nearest: YOLO has one polygon an object.

    Holes stay holes, for they run the other way round.
    """
    joined, *others = [np.array(loop) for loop in loops]
    for loop in others:
        distances = ((joined[:, None] - loop[None]) ** 2).sum(-1)
        at, start = np.unravel_index(distances.argmin(), distances.shape)
        around = np.concatenate([loop[start:], loop[: start + 1]])
        joined = np.concatenate([joined[: at + 1], around, joined[at:]])
    closed: Loop = joined.tolist()
    return closed


def _png(store: LabelStore) -> Iterator[File]:
    """A map of classes for each photo: 0 for the background, then 1 for the first line of classes.txt."""
    for photo in labelled_photos(store):
        yield f"{photo.stem}.png", _map_png(_label_map(photo, lambda number, class_index: class_index + 1))
    yield "classes.txt", "".join(f"{category['name']}\n" for category in store.classes()).encode()


def _voc(store: LabelStore) -> Iterator[File]:
    """Pascal VOC's folders, without its border of 255 around objects: here every pixel is known."""
    stems = []
    for photo in labelled_photos(store):
        stems.append(photo.stem)
        classes = _label_map(photo, lambda number, class_index: class_index + 1)
        yield f"SegmentationClass/{photo.stem}.png", _map_png(classes)
        objects = _label_map(photo, lambda number, class_index: number)
        yield f"SegmentationObject/{photo.stem}.png", _map_png(objects)
    yield "ImageSets/Segmentation/trainval.txt", "".join(f"{stem}\n" for stem in stems).encode()
    names = ["background", *(category["name"] for category in store.classes())]
    yield "labelmap.txt", "".join(f"{number}: {name}\n" for number, name in enumerate(names)).encode()


def _label_map(photo: LabelledPhoto, value: Callable[[int, int], int]) -> NDArray[np.uint16]:
    """(H, W); where objects overlap, the upper one counts. ``value``: of the object's number, from 1, and its class."""
    labels = np.zeros(photo.photo_hw, dtype=np.uint16)
    for number, (class_index, rle) in enumerate(photo.objects, 1):
        labels[decode_rle(rle)] = value(number, class_index)
    return labels


def _map_png(labels: NDArray[np.uint16]) -> bytes:
    """With Pascal VOC's colours; in 16 bits of grey where 8 do not suffice."""
    stream = io.BytesIO()
    if labels.max(initial=0) > _MAX_PALETTE:
        Image.fromarray(labels).save(stream, "png")
    else:
        picture = Image.fromarray(labels.astype(np.uint8), mode="P")
        picture.putpalette(_voc_palette())
        picture.save(stream, "png")
    return stream.getvalue()


def _voc_palette() -> list[int]:
    """Pascal VOC's colour map: the bits of a number, three at a time, become the high bits of red, green and blue."""
    numbers = np.arange(256)
    shift = np.arange(8)
    bits = (numbers[:, None, None] >> (3 * shift[:, None] + np.arange(3))) & 1  # (256, 8, 3)
    colours = (bits << (7 - shift[:, None])).sum(1)
    palette: list[int] = colours.ravel().tolist()
    return palette


_EXPORTERS: Mapping[Kind, Callable[[LabelStore], Iterator[File]]] = {
    "coco": _coco,
    "coco-polygons": _coco_polygons,
    "yolo": _yolo,
    "png": _png,
    "voc": _voc,
}
