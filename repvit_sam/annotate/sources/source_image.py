"""One image of a source: its name, where its bytes lie, what it looked like when it was listed, and its prompts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Any

_LONGEST_PART = 240  # bytes of a file's name; file systems take 255, and an ending is added


@dataclass(frozen=True)
class BoxPrompt:
    """A box of a detector or an annotator: x, y, width and height in photo pixels."""

    category_id: int
    score: float
    box_xywh: tuple[float, float, float, float]


@dataclass(frozen=True)
class PointsPrompt:
    """Points on one object, and beside it: x, y and label (1 object, 0 background), in photo pixels."""

    category_id: int
    score: float
    points: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True)
class SourceImage:
    """An image that is to be annotated.

    Attributes:
        name: path within the source, with "/", unique in it.
        path: absolute, or an address for fsspec, of the file that holds the image.
        size: bytes of the encoded image; None where only reading would tell.
        version: of the file, as ``files.version_of`` says it; another one means that the file was changed.
        offset: where the image begins in the file, for a member of a tar.
        row: row group and row within it, for an image in Parquet.
        column: the column of Parquet, "image" or "image.bytes".
        boxes, points: the prompts; None for a source without any, which is for everything mode.
        photo_hw: the size that the prompts were made for, where the source says it.
        image_id: the source's own, later that of the output.
        stem: the name of output files of the image, without an ending; set by the plan.
        refused: why it cannot be annotated, known when it was listed.
    """

    name: str
    path: str
    size: int | None = None
    version: str = ""
    offset: int | None = None
    row: tuple[int, int] | None = None
    column: str | None = None
    boxes: tuple[BoxPrompt, ...] | None = None
    points: tuple[PointsPrompt, ...] | None = None
    photo_hw: tuple[int, int] | None = None
    image_id: int | None = None
    stem: str = ""
    refused: str | None = None

    def to_json(self) -> dict[str, Any]:
        """What differs from the defaults, as JSON."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _PROMPTS}
        found = {key: value for key, value in plain.items() if value not in (None, "")}
        if self.boxes is not None:
            found["boxes"] = [[box.category_id, box.score, *box.box_xywh] for box in self.boxes]
        if self.points is not None:
            found["points"] = [[one.category_id, one.score, one.points] for one in self.points]
        return found

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> SourceImage:
        """The image that ``to_json`` wrote."""
        found = dict(content)
        for name in ("row", "photo_hw"):
            if name in found:
                found[name] = tuple(found[name])
        if "boxes" in found:
            found["boxes"] = tuple(BoxPrompt(row[0], row[1], tuple(row[2:])) for row in found["boxes"])
        if "points" in found:
            found["points"] = tuple(
                PointsPrompt(row[0], row[1], tuple((x, y, label) for x, y, label in row[2])) for row in found["points"]
            )
        return cls(**found)


_PROMPTS = ("boxes", "points")


def unsafe_name(name: str) -> str | None:
    """Why no output may be named after an image of this name; None where one may.

    A name of an archive or a table could lead out of the folder of results: ``../../x.jpg``, ``/etc/x.jpg``.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    try:
        lengths = [len(part.encode("utf-8")) for part in parts]
    except UnicodeEncodeError:  # lone surrogates: how Python reads bytes of a name that are no UTF-8
        return "its name is no UTF-8"
    if not parts or parts[0] == "/" or ":" in parts[0] or ".." in parts:
        return "its name leads out of the folder of results"
    if ":" in name:
        return "its name holds a colon, which is a part of no file's name on some systems"
    if any(ord(character) < 32 for character in name):
        return "its name holds control characters"
    if max(lengths) > _LONGEST_PART:
        return f"its name has a part of more than {_LONGEST_PART} bytes"
    return None
