"""A PNG label map for each image, and beside it a JSON file that says what each label is.

Where masks overlap, the smaller one is seen, as in an overlay: label maps hold one object a pixel. What is read from
them are the pixels that are seen.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...masks import coco_bbox
from ...rle import decode_rle, encode_rle
from ..image_masks import ImageMasks, MaskRecord
from .form import ShardWriter
from .json_files import SUFFIX, image_part, json_path, read_images

_FOLDER = "masks"
_MOST = 65_535  # labels that 16 bits hold


class PngForm:
    """``masks/NAME.png``, 8 bits up to 255 masks and 16 beyond, and ``masks/NAME.json``."""

    look_at: ClassVar[str] = "masks/"

    def writer(self, folder: Path, shard: int) -> ShardWriter:
        """See ``Form``."""
        return _Files(folder)

    def own_files(self, stem: str) -> tuple[str, ...]:
        """The image's map and legend."""
        return f"{_FOLDER}/{stem}.png", f"{_FOLDER}/{stem}.json"

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
        """See ``Form``; sorted by path. Masks of which nothing is seen are left out."""
        return read_images(out / _FOLDER, _seen_masks)


class _Files:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, image: ImageMasks) -> None:
        masks = sorted(image.masks, key=lambda mask: -mask.area)[:_MOST]  # the larger below
        labels = np.zeros(image.photo_hw, dtype=np.uint16)
        rows = []
        for label, mask in enumerate(masks, 1):
            labels[decode_rle(mask.rle)] = label
            row = mask.to_json()
            del row["segmentation"]
            rows.append({"label": label, **row})
        path = json_path(self._folder / _FOLDER, image)
        path.write_text(json.dumps({"image": image_part(image), "labels": rows}, indent=1), encoding="ascii")
        depth = np.uint8 if len(masks) <= 255 else np.uint16
        Image.fromarray(labels.astype(depth)).save(_map_path(path), "PNG")

    def close(self) -> None:
        pass


def _map_path(legend: Path) -> Path:
    return legend.with_name(legend.name.removesuffix(SUFFIX) + ".png")


def _seen_masks(path: Path, legend: Any) -> Iterator[MaskRecord]:
    labels = np.asarray(Image.open(_map_path(path)))
    for row in legend["labels"]:
        if mask := _seen(row, labels):
            yield mask


def _seen(row: dict[str, Any], labels: NDArray[Any]) -> MaskRecord | None:
    """The mask of the pixels that have the label."""
    mask = labels == row["label"]
    area = int(np.count_nonzero(mask))
    if not area:
        return None
    rle = encode_rle(mask)
    return replace(MaskRecord.from_json({**row, "segmentation": rle}), area=area, bbox_xywh=tuple(coco_bbox(mask)))
