"""How large a photo is, without decoding it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

_EXIF_ORIENTATION = 0x0112
_ON_ITS_SIDE = (5, 6, 7, 8)  # EXIF orientations that swap width and height


def photo_size(path: Path) -> tuple[int, int]:
    """Height and width as ``read_photo`` gives them, from the file's header alone.

    Raises:
        ValueError: not a picture.
    """
    try:
        with Image.open(path) as photo:
            width, height = photo.size
            turned = photo.getexif().get(_EXIF_ORIENTATION) in _ON_ITS_SIDE
    except OSError as error:
        raise ValueError(f"{path} cannot be read as a photo: {error}") from None
    return (width, height) if turned else (height, width)
