"""Photos of the Berkeley Segmentation Data Set (BSDS500) and the boundaries that people drew on them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from repvit_sam.masks import Mask

# raised by SciPy, or by reading its result, for a file that is cut off, damaged, not MATLAB's, or of other content
_UNREADABLE = (MatReadError, OSError, zlib.error, LookupError, TypeError, ValueError, NotImplementedError)


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A photo and the file of its true boundaries.

    Attributes:
        name: of both files, without suffix.
        truth: path of the ``.mat`` file.
        photo: path of the photo; None if only the boundaries are read.
    """

    name: str
    truth: Path
    photo: Path | None = None


def annotated_photos(
    folder: Path | None, images: Path | None = None, truth: Path | None = None, limit: int | None = None
) -> tuple[AnnotatedPhoto, ...]:
    """The photos ``FOLDER/images/*.jpg`` with their boundaries ``FOLDER/groundTruth/*.mat``, sorted by name.

    Args:
        folder: may be None if ``truth`` is given.
        images, truth: the two folders, if not in ``folder``; BSDS500 has ``images/test`` and ``groundTruth/test``.
            Without ``folder`` and ``images`` there are boundaries only, and no photos.
        limit: keep only so many.

    Raises:
        ValueError: a folder is missing, or the two do not hold the same names.
    """
    truth = truth or (folder / "groundTruth" if folder else None)
    images = images or (folder / "images" if folder else None)
    if truth is None or not truth.is_dir() or (images is not None and not images.is_dir()):
        expected = " and ".join(f"{path}/" for path in (images, truth) if path) or "a folder of .mat files"
        raise ValueError(f"{folder or truth} is no BSDS folder: expected {expected}")
    truths = {path.stem: path for path in sorted(truth.glob("*.mat"))}
    if not truths:
        raise ValueError(f"{truth} holds no .mat files; BSDS500 has those of its test photos in groundTruth/test")
    if images is None:
        return tuple(AnnotatedPhoto(name, path) for name, path in truths.items())[:limit]
    photos = {path.stem: path for path in sorted(images.glob("*.jpg"))}
    unpaired = sorted(truths.keys() ^ photos.keys())
    if unpaired:
        place, other = (images, truth) if unpaired[0] in photos else (truth, images)
        raise ValueError(f"{unpaired[0]} is in {place} but not in {other}; give the two folders of one subset")
    return tuple(AnnotatedPhoto(name, path, photos[name]) for name, path in truths.items())[:limit]


def read_boundaries(path: Path) -> tuple[Mask, ...]:
    """One boundary map (H, W) bool for each annotator: ``groundTruth{k}.Boundaries`` of a ``.mat`` file.

    Raises:
        ValueError: the file has none, or maps of different sizes.
    """
    try:
        annotators = loadmat(str(path), variable_names=["groundTruth"])["groundTruth"].ravel()
        boundaries = tuple(annotator["Boundaries"][0, 0].astype(bool) for annotator in annotators)
    except _UNREADABLE as error:
        raise ValueError(f"{path} holds no groundTruth with Boundaries as BSDS500's files do ({error})") from None
    if len({boundary.shape for boundary in boundaries}) != 1 or boundaries[0].ndim != 2:
        sizes = ", ".join(str(boundary.shape) for boundary in boundaries) or "none"
        raise ValueError(f"{path} should hold boundary maps of one size, got {sizes}")
    return boundaries
