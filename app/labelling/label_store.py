"""The labels of a folder: on disk as COCO JSON, in memory the same. Every change is on the disk before it is answered.

Nothing is overwritten that this program has not seen: a change names the revision that it was made on, and before each
writing the file is read again where another program has changed it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cachetools import LRUCache
from filelock import FileLock, Timeout

from repvit_sam import RepVitSamError
from repvit_sam.files import atomic_write
from repvit_sam.rle import Rle
from repvit_sam.visualize import COLOURS

from ..schemas import RequestError
from ..shapes import area_and_bbox, rle_of, segmentation_like
from .coco_document import (
    CocoDocument,
    LabelFileError,
    PhotoPart,
    State,
    new_document,
    parse_document,
    with_state,
)
from .photo_folder import PhotoFolder

_EARLIER = 20  # photos


class ChangedElsewhereError(RepVitSamError):
    """The photo's labels are no longer those that a change was made on."""

    kind = "conflict"  # what the page decides by


class NotSavedError(RepVitSamError):
    """The labels could not be written; the page keeps them and tries again."""

    kind = "unsaved"


@dataclass(frozen=True)
class LabelLayer:
    """An object of a photo, as a page sends it.

    Attributes:
        annotation: id of the record that it was read from or saved as; None for a new one.
    """

    annotation: int | str | None
    category: int | str
    rle: Rle


@dataclass(frozen=True)
class Change:
    """What a page says of a change, so that no other is overwritten.

    Attributes:
        revision: of the part that it was made on; "" where there was none.
        name: a random one.
        unanswered: names of earlier changes whose answers were lost; they may be in the file.
    """

    revision: str = ""
    name: str = ""
    unanswered: tuple[str, ...] = ()

    def follows(self, part: PhotoPart | None) -> bool:
        """Whether it was made with the knowledge of what is in the file."""
        if part is None:
            return not self.revision
        return self.revision == part.revision or (part.change != "" and part.change in self.unanswered)


@dataclass(frozen=True)
class SavedLabels:
    """What a change led to.

    Attributes:
        annotations: the record's id of each layer.
    """

    revision: str
    annotations: tuple[int | str, ...]


@dataclass(frozen=True)
class PhotoState:
    """A photo in the list: its name, how far its labels are, and how many there are."""

    name: str
    state: State
    count: int


class LabelStore:
    """The labels of one folder. May be used by several threads.

    Args:
        folder: whose photos are labelled.
        path: of the COCO file; it need not exist.
        as_polygons: write polygons for masks without holes, for tools that do not read RLE.

    Attributes:
        not_here: how many images of the file are not in the folder. They stay in the file.

    Raises:
        LabelFileError: the file is not COCO JSON, another program of this kind has it open, or it cannot be written.
    """

    def __init__(self, folder: PhotoFolder, path: Path, as_polygons: bool = False) -> None:
        path = path.resolve()  # a link stays one
        self.folder, self.path, self._as_polygons = folder, path, as_polygons
        self.identity = hashlib.sha256(f"{folder.path}\n{path}".encode()).hexdigest()[:16]
        """Tells this folder and file from others that are served at the same address."""
        self._lock = threading.RLock()
        self._in_use = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            self._in_use.acquire(timeout=0)
        except Timeout:
            raise LabelFileError(f"{path} is open in another repvit-sam label; use that one, or end it") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise LabelFileError(f"{path.parent} cannot be written ({reason}); give --annotations elsewhere") from None
        self._document = new_document()
        self._seen: tuple[int, int, int] | None = None  # the file as it was last read or written
        self.version = 0
        """Counts changes, so that a page can ask for what is new."""
        self._max_class_id = 0  # an undone deletion may bring back an object of a class that was removed
        self._changed: dict[str, int] = {}  # photo -> version
        # photo -> records that it had; an undone deletion brings one back whole
        self._earlier: LRUCache[str, dict[Any, dict[str, Any]]] = LRUCache(_EARLIER)
        self._classes_changed = 0
        self._take_over_changes()

    def close(self) -> None:
        """Let another program have the file."""
        self._in_use.release()

    @property
    def not_here(self) -> int:
        return len(self._document.parts) - len(self._by_name())

    def refresh(self) -> None:
        """Read the file again where another program has changed it; one that cannot be read is left for ``save``."""
        with self._lock, suppress(NotSavedError):
            self._take_over_changes()

    def classes(self) -> list[dict[str, Any]]:
        """Id, name and colour (#rrggbb) of each class."""
        with self._lock:
            return [
                {"id": category["id"], "name": category["name"], "colour": _colour(category, number)}
                for number, category in enumerate(self._document.categories)
            ]

    def photos(self) -> list[PhotoState]:
        """All photos of the folder, in its order."""
        with self._lock:
            parts = self._by_name()
            return [_photo_state(name, parts.get(name)) for name in self.folder.names]

    def changes(self, since: int) -> tuple[list[PhotoState], bool]:
        """Photos whose labels have changed since a version, and whether the classes have."""
        with self._lock:
            parts = self._by_name()
            names = [name for name, version in self._changed.items() if version > since]
            return [_photo_state(name, parts.get(name)) for name in names], self._classes_changed > since

    def part(self, name: str) -> PhotoPart | None:
        """What the file has about a photo."""
        with self._lock:
            return self._by_name().get(name)

    def parts(self) -> Iterator[PhotoPart]:
        """Those of the folder's photos, in the folder's order."""
        with self._lock:
            parts = self._by_name()
        return (parts[name] for name in self.folder.names if name in parts)

    def save(
        self, name: str, photo_hw: tuple[int, int], change: Change, state: State, layers: Sequence[LabelLayer]
    ) -> SavedLabels:
        """Replace a photo's labels.

        Args:
            photo_hw: size of the photo in pixels.
            layers: the lowest first. Annotations that ``shown_annotations`` leaves out stay.

        Raises:
            RequestError: a class that does not exist, or an empty mask.
            ChangedElsewhereError: the part is of another revision by now.
            NotSavedError: the file cannot be written, or was made unreadable by another program.
        """
        with self._lock:
            self._take_over_changes()
            known = {category["id"] for category in self._document.categories}
            for layer in layers:
                if layer.category not in known:
                    raise RequestError("an object is of a class that does not exist any more; give it another one")
            part = self._by_name().get(name)
            if not change.follows(part):
                raise ChangedElsewhereError(f"{name} was changed in another window or program too")
            image = part.image() if part else self._new_image(name)
            image = with_state({**image, "height": photo_hw[0], "width": photo_hw[1]}, state, change.name)
            old = part.annotations() if part else []
            with_masks, kept = split_annotations(old, photo_hw)
            shown = [record for record, _ in with_masks]
            records, highest = self._records(name, image, layers, shown)
            new = PhotoPart.of(image, [*kept, *records])
            self._write(self._document.with_part(new, highest))
            self._earlier[name] = {**self._earlier.get(name, {}), **{record["id"]: record for record in shown}}
            self._note(name)
            return SavedLabels(new.revision, tuple(record["id"] for record in records))

    def add_class(self, name: str) -> int | str:
        """A new class, or the one that has this name already; returns its id."""
        with self._lock:
            self._take_over_changes()
            name = name.strip()
            if not name:
                raise RequestError("a class needs a name")
            for category in self._document.categories:
                if category["name"] == name:
                    found: int | str = category["id"]
                    return found
            numbers = [category["id"] for category in self._document.categories if isinstance(category["id"], int)]
            new_id = self._max_class_id = max([self._max_class_id, *numbers]) + 1
            new = {"id": new_id, "name": name, "color": self._free_colour()}
            self._set_categories((*self._document.categories, new))
            return new_id

    def change_class(self, class_id: int | str, name: str, colour: str) -> None:
        """Another name or colour (#rrggbb) for a class.

        Raises:
            RequestError: there is no such class, the name is empty, or another class has it.
        """
        with self._lock:
            self._take_over_changes()
            name = name.strip()
            if not name:
                raise RequestError("a class needs a name")
            if any(c["name"] == name and c["id"] != class_id for c in self._document.categories):
                raise RequestError(f"there is a class {name!r} already; choose another name")
            self._class(class_id)
            changed = {"name": name, "color": list(bytes.fromhex(colour.removeprefix("#")))}
            self._set_categories(
                tuple({**c, **changed} if c["id"] == class_id else c for c in self._document.categories)
            )

    def remove_class(self, class_id: int | str) -> None:
        """Raises RequestError for a class that has objects: they would be lost."""
        with self._lock:
            self._take_over_changes()
            name = self._class(class_id)["name"]
            counts = [
                sum(annotation["category_id"] == class_id for annotation in part.annotations())
                for part in self._document.parts.values()
            ]
            objects, photos = sum(counts), sum(count > 0 for count in counts)
            if objects:
                raise RequestError(
                    f"{name!r} has {objects} object{'s' * (objects > 1)} in {photos} photo{'s' * (photos > 1)}; "
                    "give them another class first"
                )
            if len(self._document.categories) == 1:
                raise RequestError(f"{name!r} is the only class; add another one first")
            self._max_class_id = max([self._max_class_id, *([class_id] if isinstance(class_id, int) else [])])
            self._set_categories(tuple(c for c in self._document.categories if c["id"] != class_id))

    def document_bytes(self) -> Iterator[bytes]:
        """The file as it would be written now."""
        with self._lock:
            return self._document.chunks()

    def _records(
        self, name: str, image: Mapping[str, Any], layers: Sequence[LabelLayer], shown: Sequence[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], int]:
        """COCO's records of the layers, and the highest id so far."""
        before = {**self._earlier.get(name, {}), **{record["id"]: record for record in shown}}
        highest = self._document.max_annotation_id
        records = []
        for layer in layers:
            record = None if layer.annotation is None else before.pop(layer.annotation, None)
            if record is not None and record not in shown and self._is_used_elsewhere(record["id"], image["id"]):
                record = None
            if record is None:
                highest += 1
            record_id = highest if record is None else record["id"]
            area, bbox = area_and_bbox(layer.rle)
            if not area:
                raise RequestError("an object has no pixels; delete it")
            segmentation = segmentation_like(record, layer.rle, self._as_polygons)
            changed: dict[str, Any] = {"id": record_id, "image_id": image["id"], "category_id": layer.category}
            if record is None or segmentation is not record.get("segmentation"):
                changed |= {"segmentation": segmentation, "area": area, "bbox": bbox}
            records.append({**(record or {"iscrowd": 0}), **changed})
        return records, highest

    def _is_used_elsewhere(self, record_id: int | str, image_id: int | str) -> bool:
        """Whether a photo has a record of this id; for one that was removed, another program may have taken it."""
        parts = (part for part in self._document.parts.values() if part.image_id != image_id)
        return any(record["id"] == record_id for part in parts for record in part.annotations())

    def _by_name(self) -> dict[str, PhotoPart]:
        """The folder's photos that the file has; one that is named by its path, or by its file's name in one record."""
        parts = self._document.parts.values()
        named = {part.file_name: part for part in parts if self.folder.name_of(part.file_name) == part.file_name}
        others: dict[str, list[PhotoPart]] = {}
        for part in parts:
            name = self.folder.name_of(part.file_name)
            if name and name not in named:
                others.setdefault(name, []).append(part)
        return {**named, **{name: found[0] for name, found in others.items() if len(found) == 1}}

    def _new_image(self, name: str) -> dict[str, Any]:
        numbers = [key for key in self._document.parts if isinstance(key, int)]
        return {"id": max(numbers, default=0) + 1, "file_name": name}

    def _class(self, class_id: int | str) -> Mapping[str, Any]:
        for category in self._document.categories:
            if category["id"] == class_id:
                return category
        raise RequestError("this class does not exist any more; load the page again")

    def _free_colour(self) -> list[int]:
        used = [_colour(category, number) for number, category in enumerate(self._document.categories)]
        free = [colour for colour in COLOURS if _hex(colour) not in used]
        return list(free[0] if free else COLOURS[len(used) % len(COLOURS)])

    def _set_categories(self, categories: tuple[Mapping[str, Any], ...]) -> None:
        self._write(replace(self._document, categories=categories))
        self._note()

    def _note(self, name: str | None = None) -> None:
        self.version += 1
        if name is None:
            self._classes_changed = self.version
        else:
            self._changed[name] = self.version

    def _take_over_changes(self) -> None:
        """Read the file where it is not the one that was last read or written."""
        try:
            found = _signature(self.path)
            if found is None or found == self._seen:  # a file that was deleted is written again
                return
            data = self.path.read_bytes()
        except OSError as error:
            raise NotSavedError(f"{self.path.name} cannot be read: {error.strerror or error}") from None
        if self._seen is None:
            self._document, self._seen = parse_document(data, str(self.path)), found
            return
        try:
            theirs = parse_document(data, self.path.name)
        except LabelFileError as error:
            raise NotSavedError(f"another program has changed {self.path.name}: {error}; nothing was saved") from None
        ours, self._document, self._seen = self._document, theirs, found
        for key in {*ours.parts, *theirs.parts}:
            part = theirs.parts.get(key) or ours.parts[key]
            if ours.parts.get(key) != theirs.parts.get(key):
                self._note(self.folder.name_of(part.file_name))
        self._document = replace(theirs, max_annotation_id=max(ours.max_annotation_id, theirs.max_annotation_id))
        self._note()

    def _write(self, document: CocoDocument) -> None:
        try:
            with atomic_write(self.path) as beside, beside.open("wb") as stream:
                stream.writelines(document.chunks())
                stream.flush()
                os.fsync(stream.fileno())  # a power cut leaves the file of before, or this one
                seen = _signature_of(os.fstat(stream.fileno()))  # not of the path: another program may write there
        except OSError as error:
            reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
            raise NotSavedError(f"{self.path.name} cannot be written: {reason}") from None
        self._document, self._seen = document, seen


def split_annotations(
    records: Sequence[dict[str, Any]], photo_hw: tuple[int, int]
) -> tuple[list[tuple[dict[str, Any], Rle]], list[dict[str, Any]]]:
    """Records with their masks, and those that have no mask of this photo: boxes without a mask, damaged ones.

    The second kind, and masks without a pixel, is not shown, and stays in the file as it is.
    """
    shown: list[tuple[dict[str, Any], Rle]] = []
    kept: list[dict[str, Any]] = []
    for record in records:
        rle = rle_of(record.get("segmentation"), photo_hw)
        if rle is None or not area_and_bbox(rle)[0]:
            kept.append(record)
        else:
            shown.append((record, rle))
    return shown, kept


def _photo_state(name: str, part: PhotoPart | None) -> PhotoState:
    return PhotoState(name, part.state if part else "untouched", part.count if part else 0)


def _colour(category: Mapping[str, Any], number: int) -> str:
    colour = category.get("color")
    if not (isinstance(colour, list) and len(colour) == 3 and all(isinstance(n, int) and 0 <= n < 256 for n in colour)):
        colour = list(COLOURS[number % len(COLOURS)])
    return _hex(colour)


def _hex(rgb: Sequence[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return _signature_of(found)


def _signature_of(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_size, found.st_ino
