"""Annotated masks: checked and decoded, laid on the grid of the decoder's logits, packed into bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from repvit_sam.canvas import LOGITS_STRIDE, CanvasFit
from repvit_sam.coco_segmentation import segmentation_rle
from repvit_sam.foreign_json import parse_foreign_json
from repvit_sam.masks import Mask
from repvit_sam.rle import decode_rle

from .photo_set import FileSlice, PhotoItem


def read_masks(item: PhotoItem, photo_hw: tuple[int, int], most: int | None = None) -> list[Mask]:
    """The (H, W) masks annotated in a photo; of more than ``most``, every n-th.

    Left out are crowds, and annotations without a mask: an empty one, a box without a polygon, one of another size.

    Raises:
        ValueError: the photo's annotations as a whole cannot be read.
    """
    annotations = item.annotations
    if annotations is None:
        return []
    try:
        if isinstance(annotations, FileSlice):
            annotations = tuple(parse_foreign_json(annotations.read())["annotations"])
        objects = [a for a in annotations if not a.get("iscrowd")]
        step = 1 if most is None else max(1, -(-len(objects) // most))
    except (AttributeError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the masks of {item.name} cannot be read ({type(error).__name__}: {error})") from None
    masks = [_decode(annotation.get("segmentation"), photo_hw) for annotation in objects[::step]]
    return [mask for mask in masks if mask is not None and mask.shape == photo_hw and mask.any()]


def masks_on_grid(masks: Sequence[Mask], fit: CanvasFit) -> NDArray[np.bool_]:
    """(H, W) masks -> (K, S/4, S/4): a cell is object where at least half of it is; masks that vanish are left out."""
    side = fit.canvas_size // LOGITS_STRIDE
    height, width = (max(1, round(length / LOGITS_STRIDE)) for length in fit.content_hw)
    grid = np.zeros((len(masks), side, side), dtype=bool)
    for row, mask in zip(grid, masks, strict=True):
        # pycocotools' masks run down the columns in memory; transposed they are resized four times as fast
        share = cv2.resize(mask.T.astype(np.float32), (height, width), interpolation=cv2.INTER_AREA).T
        row[:height, :width] = share >= 0.5
    return grid[grid.any((1, 2))]


@dataclass(frozen=True)
class PackedMasks:
    """Masks of any shape as bits: an eighth of the memory."""

    bits: NDArray[np.uint8]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, masks: NDArray[np.bool_]) -> PackedMasks:
        return cls(np.packbits(masks), masks.shape)

    def unpacked(self) -> NDArray[np.bool_]:
        return np.unpackbits(self.bits, count=int(np.prod(self.shape))).reshape(self.shape).astype(bool)


def _decode(segmentation: Any, photo_hw: tuple[int, int]) -> Mask | None:
    """None for what is no mask: exports of detection data have empty lists, null, or polygons of two points."""
    try:
        return decode_rle(segmentation_rle(segmentation, photo_hw))
    except ValueError:
        return None
