"""Photos as uint8 canvases, 3 MiB each at 1024: kept in memory or read as they are needed; normalised on the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repvit_sam.canvas import EMBEDDING_STRIDE, LOGITS_STRIDE, PIXEL_MEAN, PIXEL_STD, CanvasFit, fit_photo, resize_photo
from repvit_sam.errors import PhotoError
from repvit_sam.masks import Mask
from repvit_sam.photo import read_photo

from .sources import PhotoItem, read_masks


@dataclass(frozen=True)
class PhotoCanvas:
    """One photo, ready for the device.

    Attributes:
        canvas: (3, S, S) uint8, the photo at the top left, zeros elsewhere.
        content_hw: how much of the canvas the photo covers, in pixels.
        masks: (K, S/4, S/4) bool, annotated masks on the grid of the decoder's logits; K is 0 where there are none.
    """

    canvas: Tensor
    content_hw: tuple[int, int]
    masks: NDArray[np.bool_]


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


def read_canvas(item: PhotoItem, canvas_size: int, most_masks: int = 0) -> PhotoCanvas:
    """Decode a photo and lay it on its canvas, by the library's rule.

    Raises:
        PhotoError: damaged or unreadable, the photo or its masks.
    """
    try:
        photo = read_photo(item.place.read())
        masks = read_masks(item, (photo.shape[0], photo.shape[1]), most_masks) if most_masks else []
    except (OSError, ValueError) as error:
        raise PhotoError(f"{item.name}: {error}") from None
    fit = fit_photo((photo.shape[0], photo.shape[1]), canvas_size)
    height, width = fit.content_hw
    canvas = np.zeros((3, canvas_size, canvas_size), dtype=np.uint8)
    canvas[:, :height, :width] = resize_photo(photo, fit).transpose(2, 0, 1)  # (H, W, 3) -> (3, H, W)
    return PhotoCanvas(torch.from_numpy(canvas), fit.content_hw, masks_on_grid(masks, fit))


def masks_on_grid(masks: Sequence[Mask], fit: CanvasFit) -> NDArray[np.bool_]:
    """(H, W) masks -> (K, S/4, S/4): a cell is object where at least half of it is; masks that vanish are left out."""
    side = fit.canvas_size // LOGITS_STRIDE
    height, width = (max(1, round(length / LOGITS_STRIDE)) for length in fit.content_hw)
    grid = np.zeros((len(masks), side, side), dtype=bool)
    for row, mask in zip(grid, masks, strict=True):
        # pycocotools' masks run down the columns in memory; seen transposed they are resized four times as fast
        share = cv2.resize(mask.T.astype(np.float32), (height, width), interpolation=cv2.INTER_AREA).T
        row[:height, :width] = share >= 0.5
    return grid[grid.any((1, 2))]


def read_ahead(
    items: Iterable[PhotoItem], canvas_size: int, workers: int, ahead: int, most_masks: int = 0
) -> Iterator[PhotoCanvas | PhotoError]:
    """Canvases in the order of the items, decoded by threads at least ``ahead`` items before they are asked for.

    A damaged photo comes as its error.
    """

    def read(item: PhotoItem) -> PhotoCanvas | PhotoError:
        try:
            return read_canvas(item, canvas_size, most_masks)
        except PhotoError as error:
            return error

    waiting: deque[Future[PhotoCanvas | PhotoError]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            waiting.append(pool.submit(read, item))
            if len(waiting) > max(2 * workers, ahead):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def inside(content_hw: Tensor, side: int, stride: int) -> Tensor:
    """(B, 2) content in canvas pixels -> (B, 1, side, side) bool: cells of stride pixels whose centre shows photo."""
    centres = torch.arange(side, device=content_hw.device) * stride + stride // 2
    rows = centres[None] < content_hw[:, :1]
    columns = centres[None] < content_hw[:, 1:]
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def normalised(canvas: Tensor, content_hw: Tensor) -> Tensor:
    """(B, 3, S, S) uint8 -> float32, equal to the library's canvas to the bit: normalised, zeros beyond the photo."""
    mean = torch.tensor(PIXEL_MEAN, device=canvas.device).view(1, 3, 1, 1)
    std = torch.tensor(PIXEL_STD, device=canvas.device).view(1, 3, 1, 1)
    return (canvas.float() - mean) / std * inside(content_hw, canvas.shape[-1], 1)


def valid_cells(content_hw: Tensor, canvas_size: int) -> Tensor:
    """(B, 1, S/16, S/16) bool: cells of the image embedding whose centre shows photo."""
    return inside(content_hw, canvas_size // EMBEDDING_STRIDE, EMBEDDING_STRIDE)
