"""A photo on its canvas: read as uint8 (3 MiB at 1024), normalised on the device, blank beyond the photo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repvit_sam.canvas import EMBEDDING_STRIDE, PIXEL_MEAN, PIXEL_STD, fit_photo, resize_photo
from repvit_sam.errors import PhotoError
from repvit_sam.photo import read_photo

from .masks import masks_on_grid, read_masks
from .photo_set import PhotoItem
from .prefetch import in_threads


@dataclass(frozen=True)
class PhotoCanvas:
    """One photo, ready for the device.

    Attributes:
        name: of the photo.
        canvas: (3, S, S) uint8, the photo at the top left, zeros elsewhere.
        content_hw: how much of the canvas the photo covers, in pixels.
        masks: (K, S/4, S/4) bool, annotated masks on the grid of the decoder's logits; K is 0 where there are none.
    """

    name: str
    canvas: Tensor
    content_hw: tuple[int, int]
    masks: NDArray[np.bool_]


def read_canvas(item: PhotoItem, canvas_size: int, most_masks: int = 0) -> PhotoCanvas:
    """Decode a photo and lay it on its canvas, by the library's rule.

    Raises:
        PhotoError: the photo or its annotations are damaged or unreadable.
    """
    try:
        photo = read_photo(item.file.read())
        masks = read_masks(item, (photo.shape[0], photo.shape[1]), most_masks) if most_masks else []
    except (OSError, ValueError) as error:
        raise PhotoError(f"{item.name}: {error}") from None
    fit = fit_photo((photo.shape[0], photo.shape[1]), canvas_size)
    height, width = fit.content_hw
    canvas = np.zeros((3, canvas_size, canvas_size), dtype=np.uint8)
    canvas[:, :height, :width] = resize_photo(photo, fit).transpose(2, 0, 1)  # (H, W, 3) -> (3, H, W)
    return PhotoCanvas(item.name, torch.from_numpy(canvas), fit.content_hw, masks_on_grid(masks, fit))


def read_canvases(
    items: Iterable[PhotoItem], canvas_size: int, workers: int, ahead: int, most_masks: int = 0
) -> Iterator[PhotoCanvas | PhotoError]:
    """The canvas of each photo, or the error in its place; threads decode ``ahead`` photos before they are needed."""

    def read(item: PhotoItem) -> PhotoCanvas | PhotoError:
        try:
            return read_canvas(item, canvas_size, most_masks)
        except PhotoError as error:
            return error

    return in_threads(read, items, workers, ahead)


def normalise(canvas: Tensor, content_hw: Tensor) -> Tensor:
    """(B, 3, S, S) uint8 -> float32, equal to the library's canvas to the bit: normalised, zeros beyond the photo."""
    mean = torch.tensor(PIXEL_MEAN, device=canvas.device).view(1, 3, 1, 1)
    std = torch.tensor(PIXEL_STD, device=canvas.device).view(1, 3, 1, 1)
    return blank_padding((canvas.float() - mean) / std, content_hw)


def blank_padding(maps: Tensor, content_hw: Tensor, stride: int = 1) -> Tensor:
    """(B, C, side, side) with ``stride`` canvas pixels a cell -> the same, zeros beyond the photo."""
    return maps * photo_cells(content_hw, maps.shape[-1], stride)


def photo_cells(content_hw: Tensor, side: int, stride: int) -> Tensor:
    """(B, 2) content in canvas pixels -> (B, 1, side, side) bool: cells of stride pixels whose centre shows photo."""
    centres = torch.arange(side, device=content_hw.device) * stride + stride // 2
    rows = centres[None] < content_hw[:, :1]
    columns = centres[None] < content_hw[:, 1:]
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def embedding_cells(content_hw: Tensor, canvas_size: int) -> Tensor:
    """(B, 1, S/16, S/16) bool: cells of the image embedding whose centre shows photo."""
    return photo_cells(content_hw, canvas_size // EMBEDDING_STRIDE, EMBEDDING_STRIDE)
