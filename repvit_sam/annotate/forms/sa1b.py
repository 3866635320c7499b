"""A JSON file for each image, with the keys of SA-1B's: ``annotations/NAME.json``."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from ...foreign_json import read_foreign_json
from ..image_masks import ImageMasks, MaskRecord
from .form import ShardWriter, reading

_FOLDER = "annotations"


class Sa1bForm:
    """SA-1B's JSON; ``bbox`` counts pixels as COCO does."""

    look_at: ClassVar[str] = "annotations/"

    def writer(self, folder: Path, shard: int) -> ShardWriter:
        """See ``Form``."""
        return _Files(folder)

    def own_files(self, stem: str) -> tuple[str, ...]:
        """The image's JSON."""
        return (f"{_FOLDER}/{stem}.json",)

    def shard_files(self, shard: int) -> tuple[str, ...]:
        """None."""
        return ()

    def finish(self, out: Path, shards: int, categories: Mapping[int, str]) -> None:
        """Nothing is put together."""

    def tidy(self, out: Path, shards: int) -> None:
        """Nothing is left over."""

    def take_apart(self, out: Path, shards: Iterable[tuple[int, Collection[int]]]) -> None:
        """Nothing was put together."""

    def read(self, out: Path) -> Iterator[ImageMasks]:
        """See ``Form``; sorted by path."""
        for path in sorted((out / _FOLDER).rglob("*.json")):
            with reading(path):
                content = read_foreign_json(path)
                image = content["image"]
                masks = tuple(MaskRecord.from_json(row) for row in content["annotations"])
                stem = path.relative_to(out / _FOLDER).as_posix().removesuffix(".json")
                yield ImageMasks(image["image_id"], image["file_name"], stem, (image["height"], image["width"]), masks)


class _Files:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, image: ImageMasks) -> None:
        path = self._folder / f"{_FOLDER}/{image.stem}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        described = image.image_json()
        described = {"image_id": described.pop("id"), **described}
        rows = [{"id": number, **mask.to_json()} for number, mask in enumerate(image.masks, 1)]
        path.write_text(json.dumps({"image": described, "annotations": rows}, separators=(",", ":")), encoding="ascii")

    def close(self) -> None:
        pass
