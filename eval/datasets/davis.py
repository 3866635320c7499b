"""DAVIS-2017's folder -> its sequences, everything in it found and fitting before anything is computed.

DIR/ImageSets/2017/val.txt              names of sequences, one a line
DIR/JPEGImages/480p/SEQUENCE/00000.jpg  frames
DIR/Annotations/480p/SEQUENCE/00000.png indexed: 0 background, 1, 2 ... the objects
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from repvit_sam.files import atomic_write

from ..prompting.propagation import Masks

Labels = NDArray[np.uint8]  # (H, W): 0 background, else the number of an object

_VOID = 255  # not annotated; background to DAVIS's own program
_LEAST_FRAMES = 3  # the first and the last are not scored


@dataclass(frozen=True)
class VideoSequence:
    """A video with an annotation for every frame.

    Attributes:
        frames, annotations: of equal length, in order.
        object_ids: numbers of the objects in the first annotation, ascending; those that come later are not asked for.
    """

    name: str
    frames: tuple[Path, ...]
    annotations: tuple[Path, ...]
    object_ids: tuple[int, ...]

    def masks(self, index: int) -> Masks:
        """(N, H, W): where each object is annotated in a frame."""
        return masks_of(read_labels(self.annotations[index]), self.object_ids)


def read_davis(
    folder: Path, subset: str = "val", resolution: str = "480p", limit: int | None = None
) -> tuple[VideoSequence, ...]:
    """The sequences of a subset, in the order of its list.

    Raises:
        ValueError: no DAVIS folder, or frames, annotations and list do not fit each other.
    """
    names_file = folder / "ImageSets" / "2017" / f"{subset}.txt"
    photos, annotations = folder / "JPEGImages" / resolution, folder / "Annotations" / resolution
    missing = [path for path in (names_file, photos, annotations) if not path.exists()]
    if missing:
        raise ValueError(f"{folder} is no DAVIS-2017 folder: {missing[0]} is missing; --data takes the folder DAVIS")
    names = [line.strip() for line in names_file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{names_file} must name sequences, each once, one a line")
    strange = [name for name in names if not (photos / name).is_dir() or not (annotations / name).is_dir()]
    if strange:
        there = photos if not (photos / strange[0]).is_dir() else annotations
        raise ValueError(
            f"{names_file.name} names {len(strange)} sequences not there, the first is {there / strange[0]}"
        )
    return tuple(_sequence(name, photos / name, annotations / name) for name in names[:limit])


def read_labels(path: Path) -> Labels:
    """An indexed PNG -> labels; what is void becomes background."""
    with _opened(path) as picture:
        labels = np.array(picture)
    labels[labels == _VOID] = 0
    return labels


def write_labels(path: Path, labels: Labels, like: Path) -> None:
    """An indexed PNG with the colours of another one, of DAVIS's own annotation."""
    picture = Image.fromarray(labels)
    with _opened(like) as model:
        palette = model.getpalette()
    if palette:
        picture.putpalette(palette)
    with atomic_write(path) as beside:
        picture.save(beside)


def masks_of(labels: Labels, object_ids: Sequence[int]) -> Masks:
    """(H, W) labels -> (N, H, W) masks."""
    return np.asarray(labels == np.array(object_ids)[:, None, None])


def labels_of(masks: Masks, object_ids: Sequence[int]) -> Labels:
    """(N, H, W) masks without overlap -> (H, W) labels."""
    numbers = np.array(object_ids, dtype=np.uint8)[:, None, None]
    return np.asarray((masks * numbers).max(0))


def _sequence(name: str, photos: Path, annotations: Path) -> VideoSequence:
    frames, answers = tuple(sorted(photos.glob("*.jpg"))), tuple(sorted(annotations.glob("*.png")))
    stems, answered = {path.stem for path in frames}, {path.stem for path in answers}
    counts = f"{name} has {len(frames)} frames and {len(answers)} annotations"
    if stems - answered:
        raise ValueError(
            f"{counts}: {annotations / min(stems - answered)}.png is missing "
            "(the test sets are annotated in their first frames alone, and scored on DAVIS's server)"
        )
    if answered - stems:
        raise ValueError(f"{counts}: {photos / min(answered - stems)}.jpg is missing")
    if len(frames) < _LEAST_FRAMES:
        raise ValueError(f"{counts}; {_LEAST_FRAMES} are needed, as the first and the last are not scored")
    (width, height), _ = _header(frames[0])
    for path in (*frames, *answers):
        size, mode = _header(path)
        if size != (width, height):
            raise ValueError(f"{path} is {size[0]}x{size[1]}, the first frame of {name} is {width}x{height}")
        if path.suffix == ".png" and mode not in ("P", "L"):
            raise ValueError(f"{path} must be an indexed PNG that numbers the objects, got one of mode {mode}")
    object_ids = tuple(int(number) for number in np.unique(read_labels(answers[0])) if number)
    if not object_ids:
        raise ValueError(
            f"{answers[0]} has no object: expected DAVIS-2017's numbers 1, 2 ...; DAVIS-2016 has 255 alone"
        )
    return VideoSequence(name, frames, answers, object_ids)


def _header(path: Path) -> tuple[tuple[int, int], str]:
    """((W, H), mode), no pixel decoded."""
    with _opened(path) as picture:
        return picture.size, picture.mode


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except UnidentifiedImageError:
        raise ValueError(f"{path} is damaged, or no picture") from None
