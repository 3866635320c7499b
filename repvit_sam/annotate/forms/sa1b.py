"""A JSON file for each image, with the keys of SA-1B's: ``annotations/NAME.json``."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from ..image_masks import ImageMasks, MaskRecord
from .form import ShardWriter
from .json_files import image_part, json_path, read_images

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
        return read_images(out / _FOLDER, _masks)


class _Files:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, image: ImageMasks) -> None:
        rows = [{"id": number, **mask.to_json()} for number, mask in enumerate(image.masks, 1)]
        content = {"image": image_part(image), "annotations": rows}
        path = json_path(self._folder / _FOLDER, image)
        path.write_text(json.dumps(content, separators=(",", ":")), encoding="ascii")

    def close(self) -> None:
        pass


def _masks(_: Path, content: Any) -> Iterator[MaskRecord]:
    return map(MaskRecord.from_json, content["annotations"])
