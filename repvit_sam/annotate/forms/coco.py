"""One COCO file, put together from the shards: ``annotations.json`` with masks in RLE.

A shard is a file of lines: an image, its masks, the next image. The lines of the whole file are the same, with ids, so
that neither writing nor reading it needs it in memory.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from ...files import atomic_write
from ..image_masks import ImageMasks, MaskRecord
from .form import ShardWriter, compact_name, reading

_SHARDS = "shards"
_IMAGE = b'{"id":'  # how the line of an image begins; that of a mask begins with its image_id


class CocoForm:
    """COCO's JSON, in RLE."""

    look_at: ClassVar[str] = "annotations.json"

    def writer(self, folder: Path, shard: int) -> ShardWriter:
        """See ``Form``."""
        return _Lines(_shard_path(folder, shard))

    def own_files(self, stem: str) -> tuple[str, ...]:
        """None."""
        return ()

    def shard_files(self, shard: int) -> tuple[str, ...]:
        """The shard's lines."""
        return (_shard_path(Path(), shard).as_posix(),)

    def finish(self, out: Path, shards: int, categories: Mapping[int, str]) -> None:
        """Write ``annotations.json``."""
        paths = [path for path in (_shard_path(out, shard) for shard in range(shards)) if path.exists()]
        with atomic_write(out / self.look_at, on_disk=True) as beside, beside.open("wb") as stream:
            stream.write(b'{"images":[')
            _write_list(stream, (line for line in _lines(paths) if line.startswith(_IMAGE)))
            stream.write(b'],\n"annotations":[')
            masks = (line for line in _lines(paths) if not line.startswith(_IMAGE))
            _write_list(stream, (b'{"id":%d,%b' % (number, line[1:]) for number, line in enumerate(masks, 1)))
            stream.write(b'],\n"categories":[')
            named = [{"id": number, "name": name} for number, name in sorted(categories.items())]
            _write_list(stream, (_compact(category) for category in named))
            stream.write(b"]}\n")

    def tidy(self, out: Path, shards: int) -> None:
        """Remove the shards, which ``annotations.json`` has in it; another file in their folder stays."""
        for shard in range(shards):
            _shard_path(out, shard).unlink(missing_ok=True)
        folder = out / _SHARDS
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def take_apart(self, out: Path, shards: Iterable[tuple[int, Collection[int]]]) -> None:
        """Write the shards' lines again: those of ``annotations.json``, whose masks have a number before them."""
        path = out / self.look_at
        with reading(path), path.open("rb") as images, path.open("rb") as annotations:
            masks = (b"{" + text.partition(b",")[2] for text in _texts(annotations, b'"annotations":['))
            groups = groupby(masks, _first_number)
            upcoming = next(groups, None)
            listed = _texts(images, b'{"images":[')
            image = next(listed, None)
            for shard, ids in shards:
                lines: list[bytes] = []
                while image is not None and (number := _first_number(image)) in ids:
                    lines.append(image)
                    if upcoming and upcoming[0] == number:
                        lines += upcoming[1]
                        upcoming = next(groups, None)
                    image = next(listed, None)
                if lines:
                    with atomic_write(_shard_path(out, shard), on_disk=True) as beside:
                        beside.write_bytes(b"".join(line + b"\n" for line in lines))

    def read(self, out: Path) -> Iterator[ImageMasks]:
        """See ``Form``. Read line by line, as this form writes it; two places of the file at a time."""
        path = out / self.look_at
        with reading(path), path.open("rb") as images, path.open("rb") as annotations:
            groups = groupby(_section(annotations, b'"annotations":['), lambda row: row["image_id"])
            upcoming = next(groups, None)
            for image in _section(images, b'{"images":['):
                masks: tuple[MaskRecord, ...] = ()
                if upcoming and upcoming[0] == image["id"]:
                    masks = tuple(MaskRecord.from_json(row) for row in upcoming[1])
                    upcoming = next(groups, None)
                name, size = image["file_name"], (image["height"], image["width"])
                yield ImageMasks(image["id"], name, image.get("stem", name), size, masks)


class _Lines:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[bytes] = []

    def add(self, image: ImageMasks) -> None:
        self._lines.append(_compact({**image.image_json(), "stem": image.stem}))
        self._lines += (_compact({"image_id": image.image_id, **mask.to_json()}) for mask in image.masks)

    def close(self) -> None:
        if self._lines:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_bytes(b"".join(line + b"\n" for line in self._lines))


def _shard_path(folder: Path, shard: int) -> Path:
    return folder / _SHARDS / f"{compact_name(shard)}.jsonl"


def _compact(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("ascii")


def _lines(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as stream:
            for line in stream:
                yield line.rstrip(b"\n")


def _write_list(stream: Any, items: Iterator[bytes]) -> None:
    for number, item in enumerate(items):
        stream.write((b",\n" if number else b"\n") + item)


def _section(stream: Any, begin: bytes) -> Iterator[dict[str, Any]]:
    """The objects of one list of the file."""
    return map(json.loads, _texts(stream, begin))


def _first_number(text: bytes) -> int:
    """The number of the first field of an object, which this form gives one."""
    return int(text.partition(b":")[2].partition(b",")[0])


def _texts(stream: Any, begin: bytes) -> Iterator[bytes]:
    """The objects of one list of the file, as they are written."""
    for line in stream:
        if line.rstrip().endswith(begin):
            break
        if line.rstrip().endswith(begin + b"],"):  # it is empty
            return
    else:
        raise ValueError(f"it has no line that ends with {begin.decode()}")
    for line in stream:
        text = line.strip().rstrip(b",")
        if not text.startswith(b"{"):
            return
        yield text.removesuffix(b"]")
        if text.endswith(b"]"):
            return
    raise ValueError("it ends too soon")
