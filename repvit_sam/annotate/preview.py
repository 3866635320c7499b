"""A sheet of some results: photographs with their masks, in tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import PhotoError
from ..files import atomic_write
from ..masks import Mask
from ..photo import Photo, read_photo
from ..rle import decode_rle
from ..visualize import draw_prompts, overlay
from .image_masks import ImageMasks, MaskRecord
from .plan import has_plan, read_plan
from .results import MANIFEST, Results, open_results
from .sources.files import ImageReader
from .sources.source_image import SourceImage

_TILE = 480  # pixels, each side of a tile
_COLUMNS = 4
_CAPTION = 24  # pixels under a tile
_GAP = 8  # pixels between tiles


def write_preview(folder: Path, path: Path, count: int) -> Path:
    """Write a picture of up to ``count`` images, evenly spaced over the results.

    Args:
        path: its ending decides the format.

    Returns:
        the path.

    Raises:
        ValueError: no finished results, or none whose photograph is still there unchanged.
    """
    results = open_results(folder)
    chosen = _spread(results, count)
    places = _places(results, {image.name for image in chosen})
    reader = ImageReader()
    tiles = []
    why = "where its images lie is not known here"
    for image in chosen:
        try:
            if place := places.get(image.name):
                tiles.append(_tile(read_photo(reader.read(place)), image))
        except PhotoError as error:
            why = str(error)
    if not tiles:
        raise ValueError(f"none of the photographs of {folder} can be shown: {why}")
    with atomic_write(path) as beside:
        Image.fromarray(_sheet(tiles)).save(beside, quality=88)
    return path


def _spread(results: Results, count: int) -> list[ImageMasks]:
    wanted = {round(place) for place in np.linspace(0, max(results.images - 1, 0), min(count, results.images))}
    return [image for number, image in enumerate(results.read()) if number in wanted]


def _places(results: Results, names: set[str]) -> dict[str, SourceImage]:
    """Where images lie, by the plans of the runs that the results were made by."""
    found: dict[str, SourceImage] = {}
    for folder, prefix in _runs(results, names):
        for image in read_plan(folder / MANIFEST).all_images():
            if prefix + image.name in names:
                found.setdefault(prefix + image.name, image)
    return found


def _runs(results: Results, names: set[str]) -> Iterator[tuple[Path, str]]:
    """The runs that results were made by, each with what the names of its images begin with in these results.

    A folder may name itself as what it was made from: one that was seen is not looked at again, nor one without any of
    the names.
    """
    upcoming, seen = [(results, "")], set()
    while upcoming:
        here, prefix = upcoming.pop()
        if (here.folder, prefix) in seen or not any(name.startswith(prefix) for name in names):
            continue
        seen.add((here.folder, prefix))
        if has_plan(here.folder / MANIFEST):
            yield here.folder, prefix
        for folder in map(Path, here.made_from):
            try:
                upcoming.append((open_results(folder), f"{prefix}{folder.name}/" if here.prefixed else prefix))
            except ValueError:  # removed since
                continue


class _Decoded(Sequence[Mask]):
    """The masks, each decoded when it is drawn: at once, three hundred of 12 megapixels would take 3.6 GB."""

    def __init__(self, records: Sequence[MaskRecord]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, place: int) -> Mask: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Mask]: ...
    def __getitem__(self, place: int | slice) -> Mask | Sequence[Mask]:
        if isinstance(place, slice):
            return _Decoded(self._records[place])
        return decode_rle(self._records[place].rle)


def _tile(photo: Photo, image: ImageMasks) -> Photo:
    height, width = photo.shape[:2]
    scale = _TILE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if any(mask.rle["size"] != [height, width] for mask in image.masks):
        raise PhotoError("it has another size than its masks")
    masks = _Decoded(image.masks)
    boxes = [mask.box_xyxy for mask in image.masks if mask.box_xyxy]
    drawn = draw_prompts(overlay(photo, masks), boxes=boxes)
    small = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    tile = np.full((_TILE + _CAPTION, _TILE + _GAP, 3), 255, np.uint8)
    top, left = _TILE - size[1], (_TILE - size[0]) // 2  # its caption is just under it
    tile[top : top + size[1], left : left + size[0]] = small
    return _captioned(tile, f"{len(masks)} masks  {image.name}")


def _captioned(tile: Photo, text: str) -> Photo:
    picture = Image.fromarray(tile)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    while len(text) > 12 and draw.textlength(text, font) > _TILE - 8:
        text = f"{text[: len(text) - 5]}..."
    draw.text((4, _TILE + 3), text, "black", font)
    return np.asarray(picture)


def _sheet(tiles: Sequence[Photo]) -> Photo:
    columns = min(_COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    blank = np.full_like(tiles[0], 255)
    filled = [*tiles, *[blank] * (rows * columns - len(tiles))]
    return np.vstack([np.hstack(filled[row * columns : (row + 1) * columns]) for row in range(rows)])
