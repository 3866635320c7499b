"""The DAVIS-2017 folder -> its sequences, checked as a whole before anything is computed.

DIR/ImageSets/2017/val.txt              names of sequences, one per line
DIR/JPEGImages/480p/SEQUENCE/00000.jpg  frames
DIR/Annotations/480p/SEQUENCE/00000.png indexed: 0 is background, 1, 2 ... are the objects
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from repvit_sam.files import atomic_write

Labels = NDArray[np.uint8]  # (H, W): 0 for background, else the id of an object

_VOID = 255  # not annotated; davis2017-evaluation counts it as background
_MIN_FRAMES = 3  # the first and the last are not scored


@dataclass(frozen=True)
class VideoSequence:
    """A video with an annotation of every frame.

    Attributes:
        frames, annotations: paths, of equal length, in order.
        object_ids: ids of the objects in the first annotation, ascending; objects that appear later are not evaluated.
    """

    name: str
    frames: tuple[Path, ...]
    annotations: tuple[Path, ...]
    object_ids: tuple[int, ...]

    def masks(self, index: int) -> NDArray[np.bool_]:
        """(N, H, W) bool: the masks of the objects in a frame."""
        return masks_of(read_labels(self.annotations[index]), self.object_ids)


def read_davis(
    folder: Path, subset: str = "val", resolution: str = "480p", limit: int | None = None
) -> tuple[VideoSequence, ...]:
    """The sequences of a subset, in the order of its list.

    Raises:
        ValueError: not a DAVIS folder, or its list, frames and annotations do not match.
    """
    names_file = folder / "ImageSets" / "2017" / f"{subset}.txt"
    photos, annotations = folder / "JPEGImages" / resolution, folder / "Annotations" / resolution
    missing = [path for path in (names_file, photos, annotations) if not path.exists()]
    if missing:
        raise ValueError(f"{folder} is no DAVIS-2017 folder: {missing[0]} is missing; --data takes the folder DAVIS")
    names = [line.strip() for line in names_file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{names_file} must list sequences, one per line, each once")
    missing = [part / name for name in names for part in (photos, annotations) if not (part / name).is_dir()]
    if missing:
        raise ValueError(f"{names_file.name} lists sequences without a folder: {missing[0]} is missing")
    return tuple(_sequence(name, photos / name, annotations / name) for name in names[:limit])


def read_labels(path: Path) -> Labels:
    """An indexed PNG -> (H, W) labels; pixels marked as not annotated become background."""
    with _open(path) as image:
        labels = np.array(image)
    labels[labels == _VOID] = 0
    return labels


def write_labels(path: Path, labels: Labels, like: Path) -> None:
    """Write an indexed PNG with the palette of the PNG ``like``, an annotation of DAVIS."""
    image = Image.fromarray(labels)
    with _open(like) as annotation:
        palette = annotation.getpalette()
    if palette:
        image.putpalette(palette)
    with atomic_write(path) as temporary:
        image.save(temporary)


def masks_of(labels: Labels, object_ids: Sequence[int]) -> NDArray[np.bool_]:
    """(H, W) labels -> (N, H, W) bool masks."""
    return np.asarray(labels == np.array(object_ids)[:, None, None])


def labels_of(masks: NDArray[np.bool_], object_ids: Sequence[int]) -> Labels:
    """(N, H, W) bool masks without overlap -> (H, W) labels."""
    numbers = np.array(object_ids, dtype=np.uint8)[:, None, None]
    return np.asarray((masks * numbers).max(0))


def _sequence(name: str, photos: Path, annotations: Path) -> VideoSequence:
    frames, truths = tuple(sorted(photos.glob("*.jpg"))), tuple(sorted(annotations.glob("*.png")))
    frame_names, truth_names = {path.stem for path in frames}, {path.stem for path in truths}
    counts = f"{name} has {len(frames)} frames and {len(truths)} annotations"
    if frame_names - truth_names:
        raise ValueError(
            f"{counts}: {annotations / min(frame_names - truth_names)}.png is missing "
            "(in the test sets only first frames are annotated; DAVIS's server scores those)"
        )
    if truth_names - frame_names:
        raise ValueError(f"{counts}: {photos / min(truth_names - frame_names)}.jpg is missing")
    if len(frames) < _MIN_FRAMES:
        raise ValueError(f"{counts}; {_MIN_FRAMES} are needed, as the first and the last are not scored")
    _check_headers(name, frames, truths)
    object_ids = tuple(int(number) for number in np.unique(read_labels(truths[0])) if number)
    if not object_ids:
        raise ValueError(f"{truths[0]} has no object: expected ids 1, 2 ... as in DAVIS-2017; DAVIS-2016 has 255 only")
    return VideoSequence(name, frames, truths, object_ids)


def _check_headers(name: str, frames: Sequence[Path], truths: Sequence[Path]) -> None:
    (width, height), _ = _header(frames[0])
    for path in (*frames, *truths):
        size, mode = _header(path)
        if size != (width, height):
            raise ValueError(f"{path} is {size[0]}x{size[1]}, the first frame of {name} is {width}x{height}")
        if path.suffix == ".png" and mode not in ("P", "L"):
            raise ValueError(f"{path} must be an indexed PNG of object ids, got mode {mode}")


def _header(path: Path) -> tuple[tuple[int, int], str]:
    """((W, H), mode) of an image, without decoding it."""
    with _open(path) as image:
        return image.size, image.mode


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except UnidentifiedImageError:
        raise ValueError(f"{path} is damaged or not an image") from None
