"""Soft edge maps in files: greyscale PNG of 8 or 16 bits, or ``.npy`` with values from 0 to 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

_MAX_VALUE = {"1": 1, "L": 255, "I;16": 65535, "I;16B": 65535, "I": 65535}  # PIL mode -> largest value


def find_edge_maps(folder: Path, names: Sequence[str]) -> Mapping[str, Path]:
    """Name of each photo -> its map, ``FOLDER/NAME.png`` or ``.npy``.

    Raises:
        ValueError: a map is missing, or a photo has two.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder of edge maps")
    found = {
        name: [path for path in (folder / f"{name}.png", folder / f"{name}.npy") if path.is_file()] for name in names
    }
    missing = [name for name, paths in found.items() if not paths]
    if missing:
        raise ValueError(
            f"{folder} has no edge map of {len(missing)} of {len(names)} photos; expected {missing[0]}.png or .npy"
        )
    twice = [name for name, paths in found.items() if len(paths) > 1]
    if twice:
        raise ValueError(f"{folder} has both {twice[0]}.png and {twice[0]}.npy; leave one of them")
    return {name: paths[0] for name, paths in found.items()}


def edge_map_hw(path: Path) -> tuple[int, ...]:
    """(H, W), read from the header of the file.

    Raises:
        ValueError: the file is neither a greyscale image nor an array.
    """
    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r").shape
        with Image.open(path) as image:
            if image.mode not in _MAX_VALUE:
                raise ValueError(f"its mode is {image.mode}, expected greyscale")
            return image.height, image.width
    except (OSError, ValueError, EOFError, UnidentifiedImageError) as error:
        raise ValueError(f"{path} is not an edge map: {error}") from None


def read_edge_map(path: Path) -> NDArray[np.floating]:
    """(H, W) values from 0 to 1: float64 from a PNG, the file's own type from a ``.npy`` (float32 where it is bool).

    Raises:
        ValueError: the file is damaged, or its values are outside 0 to 1.
    """
    edge_map_hw(path)
    try:
        if path.suffix == ".npy":
            edges = np.load(path)
        else:
            with Image.open(path) as image:
                # float64, so that the value 51 becomes 0.2 and reaches the threshold 0.2
                edges = np.asarray(image, dtype=np.float64) / _MAX_VALUE[image.mode]
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if edges.dtype == bool:
        edges = edges.astype(np.float32)
    if not np.issubdtype(edges.dtype, np.floating) or not ((edges >= 0) & (edges <= 1)).all():
        raise ValueError(f"{path} should hold floats from 0 to 1, got {edges.dtype} up to {edges.max(initial=0)}")
    return edges
