"""Which photos of a stage are trained on, and which are held out to measure on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..recipe import DataConfig, RecipeError, Stage
from .photo_set import PhotoItem, PhotoSet


@dataclass(frozen=True)
class Split:
    """The photos of one stage."""

    train: list[PhotoItem]
    held_out: list[PhotoItem]


def split_photos(photos: PhotoSet, data: DataConfig, stage: Stage, number: int, unreadable: Collection[str]) -> Split:
    """Hold out ``data.hold_out`` photos, evenly spread, at most a quarter.

    Args:
        number: of the stage, from 1, for the message.
        unreadable: names of photos without an embedding; only the masks stage, which needs none, takes them.

    Raises:
        RecipeError: nothing is left to train on.
    """
    if stage.needs_teacher:
        items = [item for item in photos.items if item.name not in unreadable]
    else:
        items = [item for item in photos.items if item.annotations]
    count = min(data.hold_out, len(items) // 4)
    held_out = items[:: len(items) // count][:count] if count else []
    names = {item.name for item in held_out}
    train = [item for item in items if item.name not in names]
    if not train:
        what = "photos" if stage.needs_teacher else "photos with masks"
        raise RecipeError(f"stage {number} ({stage.kind}) has no {what} to train on")
    return Split(train, held_out)
