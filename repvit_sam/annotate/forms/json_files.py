"""A JSON file for each image, for the forms that write one: where it lies, its ``image`` part, and reading it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ...foreign_json import read_foreign_json
from ..image_masks import ImageMasks, MaskRecord
from .form import reading

SUFFIX = ".json"


def json_path(folder: Path, image: ImageMasks) -> Path:
    """Where an image's file is written; the folders above it are made."""
    path = folder / f"{image.stem}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def image_part(image: ImageMasks) -> dict[str, Any]:
    """What the file says of the image, with SA-1B's key for its id."""
    described = image.image_json()
    return {"image_id": described.pop("id"), **described}


def read_images(folder: Path, masks_of: Callable[[Path, Any], Iterable[MaskRecord]]) -> Iterator[ImageMasks]:
    """The images of all files of the folder, sorted by path.

    Args:
        masks_of: the masks of a file, from its path and its content.

    Raises:
        ValueError: as ``reading``.
    """
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        with reading(path):
            content = read_foreign_json(path)
            masks = tuple(masks_of(path, content))
            image = content["image"]
            stem = path.relative_to(folder).as_posix().removesuffix(SUFFIX)
            found = ImageMasks(image["image_id"], image["file_name"], stem, (image["height"], image["width"]), masks)
        yield found
