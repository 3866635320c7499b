"""COCO JSON <-> a document whose photos can be replaced one by one, and which is written fast.

Each photo's part is kept as the bytes that are written: a tenth of the memory of Python's dictionaries, and a change of
one photo costs no more than writing the file. What this program does not know stays as it was.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from repvit_sam import RepVitSamError
from repvit_sam.foreign_json import ForeignJsonError, parse_foreign_json

State = Literal["untouched", "in work", "done"]
MAX_BYTES = 2**30  # of the file: the program that writes it after each change holds it in memory
_MAX_ID = 2**62  # room for new ids behind the highest
_OWN_KEY = "repvit_sam"  # in an image's record: {"state": ..., "change": ...}


class LabelFileError(RepVitSamError, ValueError):
    """A file that is not COCO JSON, or not one that can be written back without a loss."""


@dataclass(frozen=True)
class PhotoPart:
    """One photo in the document.

    Attributes:
        image_json: COCO's image record.
        annotations_json: its annotation records, separated by commas; the lowest layer first.
        count: how many annotations there are.
    """

    image_id: int | str
    file_name: str
    image_json: bytes
    annotations_json: bytes
    count: int
    state: State

    @classmethod
    def of(cls, image: Mapping[str, Any], annotations: list[dict[str, Any]]) -> PhotoPart:
        """From COCO's records."""
        said = _own(image).get("state")
        state: State = "in work" if annotations else "untouched"
        if said in ("in work", "done"):
            state = said
        records = b",\n".join(_dump(annotation) for annotation in annotations)
        return cls(image["id"], image["file_name"], _dump(image), records, len(annotations), state)

    @property
    def revision(self) -> str:
        """Changes with the content, and only with it; the same after a restart."""
        return hashlib.sha256(self.image_json + b"\n" + self.annotations_json).hexdigest()[:16]

    @property
    def change(self) -> str:
        """The name that a page gave to its change, the last one of this photo; "" where there is none."""
        return str(_own(self.image()).get("change", ""))

    def image(self) -> dict[str, Any]:
        image: dict[str, Any] = json.loads(self.image_json)
        return image

    def annotations(self) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = json.loads(b"[" + self.annotations_json + b"]")
        return records


def with_state(image: Mapping[str, Any], state: State, change: str) -> dict[str, Any]:
    """The image record, saying how far its labels are and which change was the last."""
    return {**image, _OWN_KEY: {**_own(image), "state": state, "change": change}}


def _own(image: Mapping[str, Any]) -> Mapping[str, Any]:
    own = image.get(_OWN_KEY)
    return own if isinstance(own, dict) else {}


@dataclass(frozen=True)
class CocoDocument:
    """A COCO file in memory.

    Attributes:
        other: its keys but for images, annotations and categories.
        categories: COCO's records; ``color`` is [r, g, b].
        parts: by image id, in the file's order.
        max_annotation_id: the highest there ever was while this program ran; 0 where there is none.
    """

    other: Mapping[str, Any]
    categories: tuple[Mapping[str, Any], ...]
    parts: Mapping[int | str, PhotoPart]
    max_annotation_id: int = 0

    def with_part(self, part: PhotoPart, max_annotation_id: int) -> CocoDocument:
        """With a photo added or replaced."""
        return replace(self, parts={**self.parts, part.image_id: part}, max_annotation_id=max_annotation_id)

    def chunks(self) -> Iterator[bytes]:
        """The file, piece by piece."""
        yield b"{"
        for key, value in self.other.items():
            yield _dump(key) + b": " + _dump(value) + b",\n"
        yield b'"categories": ' + _dump(list(self.categories)) + b',\n"images": [\n'
        yield b",\n".join(part.image_json for part in self.parts.values())
        yield b'\n],\n"annotations": [\n'
        yield b",\n".join(part.annotations_json for part in self.parts.values() if part.count)
        yield b"\n]}\n"


def new_document() -> CocoDocument:
    """A document without photos and classes."""
    return CocoDocument({"info": {"description": "labelled with RepViT-SAM"}}, (), {})


def parse_document(data: bytes, name: str) -> CocoDocument:
    """Read a COCO file.

    Args:
        name: of the file, for errors.

    Raises:
        LabelFileError: names the first thing that is missing or wrong.
    """
    try:
        content = parse_foreign_json(data, MAX_BYTES)
    except ForeignJsonError as error:
        raise LabelFileError(f"{name} {error}; give a COCO file, or move it away") from None
    if not isinstance(content, dict):
        raise LabelFileError(f"{name} must be a COCO file, an object with images and annotations; it is a list")
    lists = {key: content.pop(key, []) for key in ("images", "annotations", "categories")}
    for key, value in lists.items():
        if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
            raise LabelFileError(f"{name}: {key} must be a list of records")
    for kind, records in lists.items():
        _check_ids(records, name, kind)
    for kind, key in (("images", "file_name"), ("categories", "name")):
        for record in lists[kind]:
            if not isinstance(record.get(key), str):
                raise LabelFileError(f"{name}: in {kind}, record {record['id']} has no {key}")
    of_image: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in lists["images"]}
    category_ids = {category["id"] for category in lists["categories"]}
    for annotation in lists["annotations"]:
        if not isinstance(annotation.get("image_id"), (int, str)) or annotation["image_id"] not in of_image:
            raise LabelFileError(f"{name}: annotation {annotation['id']} belongs to no image of the file")
        if not isinstance(annotation.get("category_id"), (int, str)) or annotation["category_id"] not in category_ids:
            raise LabelFileError(f"{name}: annotation {annotation['id']} is of a category that the file does not list")
        of_image[annotation["image_id"]].append(annotation)
    parts = {image["id"]: PhotoPart.of(image, of_image[image["id"]]) for image in lists["images"]}
    highest = max((a["id"] for a in lists["annotations"] if isinstance(a["id"], int)), default=0)
    return CocoDocument(content, tuple(lists["categories"]), parts, highest)


def _check_ids(records: list[dict[str, Any]], name: str, kind: str) -> None:
    ids = Counter(record.get("id") for record in records if isinstance(record.get("id"), (int, str)))
    if ids.total() < len(records):
        raise LabelFileError(f"{name}: in {kind}, every record needs an id, a number or a text")
    too_large = next((key for key in ids if isinstance(key, int) and abs(key) > _MAX_ID), None)
    if too_large is not None:
        raise LabelFileError(f"{name}: in {kind}, the id {too_large} is beyond {_MAX_ID}; give smaller ones")
    if len(ids) < len(records):
        raise LabelFileError(f"{name}: in {kind}, two records have the id {ids.most_common(1)[0][0]!r}")


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
