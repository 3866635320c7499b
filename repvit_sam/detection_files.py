"""Detections in COCO's JSON, as any detector writes them -> the boxes of each photo.

Two forms: a results list, ``[{"image_id" or "file_name", "category_id", "bbox": xywh, "score"}, ...]``, and a whole
file with ``images``, ``annotations`` and ``categories``, whose entries may lack a score (1 then).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from reprlib import repr as shown
from typing import Any

import numpy as np

from .detections import MAX_BOXES, Detections, xywh_to_xyxy
from .errors import PromptError
from .foreign_json import ForeignJsonError, read_foreign_json
from .prompts import check_near_photo

_EXPECTED = "[{image_id, category_id, bbox, score}, ...]"


@dataclass(frozen=True)
class BoxEntry:
    """One entry of a results list.

    Attributes:
        image_id, file_name: the photo's; None where the entry has none.
        box_xywh: photo pixels, continuous.
    """

    image_id: int | str | None
    file_name: str | None
    category_id: int
    box_xywh: tuple[float, float, float, float]
    score: float

    @property
    def empty(self) -> bool:
        """Whether the box has no width or no height: there is nothing to segment in it."""
        return self.box_xywh[2] <= 0 or self.box_xywh[3] <= 0


def parse_results(path: Path, rows: Any, score: float | None = None) -> list[BoxEntry]:
    """Entries of a results list, checked.

    Args:
        path: of the file, for the error message.
        rows: as JSON gives them.
        score: for entries that have none; None: each must have one.

    Raises:
        PromptError: not a results list, or numbers that are not finite.
    """
    try:
        if not isinstance(rows, list):
            raise TypeError(f"got a {type(rows).__name__}")
        return [_entry(row, score) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PromptError(f"{path} is not a COCO results list: expected {_EXPECTED} ({_reason(error)})") from None


def read_json(path: Path) -> Any:
    """The content of a file of detections or annotations.

    Raises:
        PromptError: missing, no JSON, or JSON beyond the limits.
    """
    if not path.is_file():
        raise PromptError(f"{path} is missing; expected a JSON file with a COCO results list, {_EXPECTED}")
    try:
        return read_foreign_json(path)
    except ForeignJsonError as error:
        raise PromptError(f"{path} is not a COCO results list: it {error}") from None


@dataclass(frozen=True)
class FileImage:
    """A photo as a file of detections names it.

    Attributes:
        size_hw: its size where the file says it.
    """

    name: str
    size_hw: tuple[int, int] | None = None


@dataclass(frozen=True)
class FileDetections:
    """The entries of one photo.

    Attributes:
        path: the file they are from.
        categories: names by id; a category that is not among them has its number for a label.
    """

    path: Path
    entries: Sequence[BoxEntry]
    categories: Mapping[int, str]
    size_hw: tuple[int, int] | None = None

    def on_photo(self, photo_hw: tuple[int, int], min_score: float = 0.0, most: int = MAX_BOXES) -> Detections:
        """The ``most`` best with at least ``min_score``, cut at the photo's edges, highest score first.

        Raises:
            PromptError: the file is about a photo of another size, or a box is far outside.
        """
        (height, width), size = photo_hw, self.size_hw
        if size is not None and size != (height, width):
            raise PromptError(
                f"{self.path} has boxes for a photo of {size[1]}x{size[0]} pixels, this one is {width}x{height} "
                "(after EXIF orientation); give the photo that the detector saw"
            )
        entries = [entry for entry in self.entries if entry.score >= min_score and not entry.empty]
        found = Detections(
            xywh_to_xyxy([entry.box_xywh for entry in entries]),
            tuple(self.categories.get(entry.category_id, str(entry.category_id)) for entry in entries),
            np.array([entry.score for entry in entries], dtype=np.float64),
            np.array([entry.category_id for entry in entries], dtype=np.int64),
        )
        try:
            check_near_photo(found.boxes_xyxy.reshape(-1, 2, 2), photo_hw, "box")
        except PromptError as error:
            raise PromptError(f"{self.path}: {error}") from None
        return found.within(photo_hw).best(most)


@dataclass(frozen=True)
class DetectionFile:
    """All detections of a file.

    Attributes:
        entries: by the name of the photo.
        nameless: entries without ``image_id`` and ``file_name``; where there are any, all are.
        images: by name, also those without an entry.
    """

    path: Path
    entries: Mapping[str, Sequence[BoxEntry]]
    nameless: Sequence[BoxEntry]
    images: Mapping[str, FileImage]
    categories: Mapping[int, str]

    def for_photos(self, photos: Sequence[Path]) -> dict[Path, FileDetections]:
        """The entries of each photo, none for a photo that the file does not name.

        A photo is found by its file name. Where the file has that name in several folders, the folders must agree.

        Raises:
            PromptError: none of the photos is in the file; a name that may be two photos; several photos for entries
                without a name.
        """
        if self.nameless:
            if len(photos) > 1:
                raise PromptError(
                    f"{self.path} does not say which of its boxes belongs to which of the {len(photos)} photos; "
                    "give one photo, or entries with file_name or image_id"
                )
            return {photo: FileDetections(self.path, self.nameless, self.categories) for photo in photos}
        found = self._match(photos)
        if self.images and not any(found.values()):
            first = ", ".join(list(self.images)[:3])
            raise PromptError(f"{self.path} has none of the photos; it is about {len(self.images)} others: {first} ...")
        return {photo: self._of(image) for photo, image in found.items()}

    def _of(self, image: FileImage | None) -> FileDetections:
        if image is None:
            return FileDetections(self.path, (), self.categories)
        return FileDetections(self.path, self.entries.get(image.name, ()), self.categories, image.size_hw)

    def _match(self, photos: Sequence[Path]) -> dict[Path, FileImage | None]:
        by_last_part: dict[str, list[FileImage]] = defaultdict(list)
        for image in self.images.values():
            by_last_part[_parts(image.name)[-1]].append(image)
        found = {photo: _pick(self.path, photo, by_last_part.get(photo.name, [])) for photo in photos}
        count = Counter(image.name for image in found.values() if image)
        for name, times in count.items():
            if times > 1:
                same = " and ".join(str(photo) for photo, image in found.items() if image and image.name == name)
                raise PromptError(f"{self.path} has one {name}, which may be {same}; give one of them")
        return found


def read_detections(path: Path, annotations: Path | None = None) -> DetectionFile:
    """Read a file of detections.

    Args:
        path: a results list, or a whole COCO file.
        annotations: a COCO or LVIS file whose ``images`` say which photo an ``image_id`` is, and whose ``categories``
            name the categories; needed for a results list with ``image_id``.

    Raises:
        PromptError: a file is missing or in another format, an ``image_id`` is not known, or only some entries say
            which photo they belong to.
    """
    content = read_json(path)
    tables: list[tuple[Path, Any]] = [(annotations, read_json(annotations))] if annotations else []
    if isinstance(content, dict):
        tables.insert(0, (path, content))
        entries = parse_results(path, _without_crowds(content.get("annotations")), score=1.0)
    else:
        entries = parse_results(path, content)
    images = next((found for source, table in tables if (found := _images(source, table))), {})
    categories = next((named for source, table in tables if (named := _categories(source, table))), {})
    by_name: dict[str | None, list[BoxEntry]] = defaultdict(list)
    for entry in entries:
        by_name[_name_of(path, entry, images)].append(entry)
    nameless = by_name.pop(None, [])
    if nameless and by_name:
        raise PromptError(f"{path}: {len(nameless)} of {len(entries)} entries have neither file_name nor image_id")
    by_photo = {name: its for name, its in by_name.items() if name is not None}
    known = {name: FileImage(name) for name in by_photo} | {image.name: image for image in images.values()}
    return DetectionFile(path, by_photo, nameless, known, categories)


def _without_crowds(rows: Any) -> Any:
    """A crowd region is around many objects, not one."""
    if not isinstance(rows, list):
        return rows
    return [row for row in rows if not (isinstance(row, dict) and row.get("iscrowd"))]


def _entry(row: Mapping[str, Any], score: float | None) -> BoxEntry:
    x, y, width, height = (float(number) for number in row["bbox"])
    rated = float(row["score"] if score is None else row.get("score", score))
    if not all(math.isfinite(number) for number in (x, y, width, height, rated)):
        raise ValueError(f"a box or a score of image {row.get('image_id', row.get('file_name'))} is not finite")
    category = row["category_id"]
    if not isinstance(category, int):
        raise TypeError(f"category_id must be a whole number, got {category!r}")
    name, image_id = row.get("file_name"), row.get("image_id")
    if not isinstance(image_id, (int, str, type(None))) or not isinstance(name, (str, type(None))):
        raise TypeError(f"image_id must be a number or text and file_name text, got {image_id!r} and {name!r}")
    return BoxEntry(image_id, name or None, category, (x, y, width, height), rated)


def _name_of(path: Path, entry: BoxEntry, images: Mapping[int | str, FileImage]) -> str | None:
    if entry.file_name is not None or entry.image_id is None:
        return entry.file_name
    if not images:
        raise PromptError(
            f"{path} names its photos by image_id (the first {shown(entry.image_id)}); "
            "give the annotations file that lists them, --annotations instances.json"
        )
    if entry.image_id not in images:
        raise PromptError(f"{path} has boxes for image {shown(entry.image_id)}, which the list of images does not have")
    return images[entry.image_id].name


def _images(path: Path, table: Any) -> dict[int | str, FileImage]:
    def read(image: Mapping[str, Any]) -> tuple[int | str, FileImage]:
        name = image.get("file_name") or "/".join(image["coco_url"].split("/")[-2:])  # LVIS v1 has the URL only
        size = image.get("height"), image.get("width")
        if not isinstance(name, str) or not all(isinstance(length, (int, type(None))) for length in size):
            raise TypeError(f"file_name must be text, height and width whole numbers, got {name!r} and {size}")
        return _id(image), FileImage(name, (size[0], size[1]) if size[0] and size[1] else None)

    return dict(_table(path, table, "images", read))


def _categories(path: Path, table: Any) -> dict[Any, str]:
    def read(category: Mapping[str, Any]) -> tuple[int | str, str]:
        return _id(category), str(category["name"])

    return dict(_table(path, table, "categories", read))


def _id(row: Mapping[str, Any]) -> int | str:
    found = row["id"]
    if not isinstance(found, (int, str)):
        raise TypeError(f"an id must be a number or text, got {found!r}")
    return found


def _table(path: Path, table: Any, name: str, read: Any) -> Iterable[tuple[Any, Any]]:
    try:
        return [read(row) for row in table.get(name) or []]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PromptError(
            f"{path}: {name} are not as in COCO's format, each with an id and a name ({_reason(error)})"
        ) from None


def _reason(error: Exception) -> str:
    """The kind of an error and what it says, which may repeat a value of any length."""
    said = str(error)
    return f"{type(error).__name__}: {said[:200]}{'...' if len(said) > 200 else ''}"


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts or (name,)


def _pick(path: Path, photo: Path, images: Sequence[FileImage]) -> FileImage | None:
    """Which of the images of the photo's file name it is: the one whose folders agree, or the only one."""
    own = photo.absolute().parts
    agreeing = [image for image in images if own[-len(_parts(image.name)) :] == _parts(image.name)]
    likely = agreeing or images
    if len(likely) > 1:
        names = " and ".join(image.name for image in likely[:2])
        raise PromptError(f"{path} names {names}, and {photo} may be either; give it with its folder")
    return likely[0] if likely else None
