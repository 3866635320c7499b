"""Photographs of the Berkeley Segmentation Data Set (BSDS500) with the boundaries people drew in them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from repvit_sam.masks import Mask

# what SciPy raises on a file that is cut off, compressed wrongly, no MATLAB file, or of another content
_NOT_OF_THIS_KIND = (
    MatReadError,
    OSError,
    zlib.error,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    NotImplementedError,
)


@dataclass(frozen=True)
class AnnotatedPhoto:
    """One photograph and the file with its true boundaries.

    Attributes:
        name: of both files, without the endings.
        photo: None where only the boundaries were asked for.
    """

    name: str
    truth: Path
    photo: Path | None = None


def annotated_photos(
    folder: Path | None, images: Path | None = None, truth: Path | None = None, limit: int | None = None
) -> tuple[AnnotatedPhoto, ...]:
    """The photographs of ``FOLDER/images/*.jpg`` with ``FOLDER/groundTruth/*.mat``, or wherever the two lie, by name.

    BSDS500 itself has ``images/test`` and ``groundTruth/test``. Without ``folder`` and ``images`` only the boundaries.

    Raises:
        ValueError: a folder is not there, or the two do not hold the same names.
    """
    truth = truth or (folder / "groundTruth" if folder else None)
    images = images or (folder / "images" if folder else None)
    if truth is None or not truth.is_dir() or (images is not None and not images.is_dir()):
        wanted = " and ".join(f"{path}/" for path in (images, truth) if path) or "a folder of .mat files"
        raise ValueError(f"{folder or truth} is no BSDS folder: expected {wanted}")
    truths = {path.stem: path for path in sorted(truth.glob("*.mat"))}
    if not truths:
        raise ValueError(f"{truth} holds no .mat files; BSDS500 has those of its test photos in groundTruth/test")
    if images is None:
        return tuple(AnnotatedPhoto(name, path) for name, path in truths.items())[:limit]
    photos = {path.stem: path for path in sorted(images.glob("*.jpg"))}
    alone = sorted(truths.keys() ^ photos.keys())
    if alone:
        place, other = (images, truth) if alone[0] in photos else (truth, images)
        raise ValueError(f"{alone[0]} is in {place} but not in {other}; give the two folders of one part of the set")
    return tuple(AnnotatedPhoto(name, path, photos[name]) for name, path in truths.items())[:limit]


def read_boundaries(path: Path) -> tuple[Mask, ...]:
    """What each person drew, (H, W) bool each: ``groundTruth{k}.Boundaries`` of a ``.mat`` file.

    Raises:
        ValueError: the file is not of that kind, or its maps are of several sizes.
    """
    try:
        people = loadmat(str(path), variable_names=["groundTruth"])["groundTruth"].ravel()
        boundaries = tuple(person["Boundaries"][0, 0].astype(bool) for person in people)
    except _NOT_OF_THIS_KIND as error:
        raise ValueError(f"{path} holds no groundTruth with Boundaries as BSDS500's files do ({error})") from None
    if len({boundary.shape for boundary in boundaries}) != 1 or boundaries[0].ndim != 2:
        sizes = ", ".join(str(boundary.shape) for boundary in boundaries) or "none"
        raise ValueError(f"{path} should hold boundary maps of one size, got {sizes}")
    return boundaries
