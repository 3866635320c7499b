"""A visitor's layers -> masks, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from repvit_sam.masks import Mask
from repvit_sam.rle import decode_rle

from .schemas import Layer, RequestError, Rle


class LayerMasks(Sequence[Mask]):
    """The layers' masks, decoded one at a time: four hundred of a large photo would fill the memory."""

    def __init__(self, layers: Sequence[Layer], photo_hw: tuple[int, int]) -> None:
        self._layers, self.photo_hw = layers, photo_hw

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, index: Any) -> Any:
        return checked_mask(self._layers[index].rle, self.photo_hw)


def checked_mask(rle: Rle, photo_hw: tuple[int, int]) -> Mask:
    """A visitor's RLE -> (H, W) bool.

    Raises:
        RequestError: it is not a mask of this photo.
    """
    try:
        if tuple(rle.size) == photo_hw:
            return decode_rle({"size": list(rle.size), "counts": rle.counts})
    except ValueError:
        pass
    height, width = photo_hw
    raise RequestError(f"a mask must be RLE of {height} x {width} pixels (height x width)")
