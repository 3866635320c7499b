"""Photographs on which int8 models are calibrated: the ranges of their activations are measured on them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .errors import PhotoError
from .photo import find_photos

CALIBRATION_PHOTOS = 32  # box mIoU stays within 0.1 points with them (docs/deployment.md)


def calibration_photos(folder: str | os.PathLike[str]) -> list[Path]:
    """Up to 32 photos of a folder, evenly spaced in its list of files.

    Raises:
        PhotoError: this is not a folder, or it holds no photo.
    """
    if not Path(folder).is_dir():
        raise PhotoError(f"{folder} is not a folder; calibration takes a folder of photographs")
    found = find_photos([str(folder)])
    indices = np.linspace(0, len(found) - 1, min(CALIBRATION_PHOTOS, len(found))).round().astype(int)
    return [found[index] for index in indices]
