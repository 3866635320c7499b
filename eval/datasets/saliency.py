"""Photos with greyscale masks of their salient objects, as DUTS and ECSSD have them: two folders, files of one stem."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from repvit_sam.masks import Mask
from repvit_sam.photo import find_photos, photo_size

_BRIGHT = 128  # salient is what is brighter (CODToolbox, pysodmetrics)


@dataclass(frozen=True)
class SaliencyPair:
    """The files of a photo and of its mask."""

    photo: Path
    mask: Path


def find_pairs(images: Path, masks: Path, limit: int | None = None) -> dict[str, SaliencyPair]:
    """Photos and masks by their common stem, in the order of names; the first ``limit``.

    Raises:
        ValueError: a folder or a mask is missing, two files have one stem, a mask is empty or of another size than its
            photo.
    """
    photo_of, mask_of = _by_stem(images, "--images"), _by_stem(masks, "--masks")
    missing = [stem for stem in photo_of if stem not in mask_of]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(photo_of)} photos have no mask of the same stem in {masks}, the first {missing[0]}"
        )
    pairs = {stem: SaliencyPair(path, mask_of[stem]) for stem, path in list(photo_of.items())[:limit]}
    for pair in pairs.values():
        _check(pair)
    return pairs


def read_mask(path: Path) -> Mask:
    """A greyscale picture -> (H, W) bool."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L")) > _BRIGHT


def _by_stem(folder: Path, option: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise ValueError(f"{folder}/ is missing; {option} takes a folder")
    found: dict[str, Path] = {}
    for path in find_photos([str(folder)]):
        if path.stem in found:
            raise ValueError(
                f"{found[path.stem]} and {path.name} have one stem; {option} takes a folder with one file of each stem"
            )
        found[path.stem] = path
    return found


def _check(pair: SaliencyPair) -> None:
    height, width = photo_size(pair.photo)
    truth = read_mask(pair.mask)
    if truth.shape != (height, width):
        raise ValueError(f"{pair.mask} is {truth.shape[1]}x{truth.shape[0]}, its photo is {width}x{height}")
    if not truth.any():
        raise ValueError(f"{pair.mask} has no pixel brighter than {_BRIGHT}: expected 0 and 255, and some object")
