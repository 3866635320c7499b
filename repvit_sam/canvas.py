"""Photo <-> canvas: the square that the network sees.

The photo is resized so that its long side is ``canvas_size`` (1024), and put at the top left; the rest is zero after
normalising. The rule is SAM's (segment_anything, utils/transforms.py and Sam.preprocess), and equal to it to the bit.
It is written here again with NumPy and Pillow only, because backends without torch need it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .photo import Photo

CANVAS_SIZE = 1024  # pixels, SAM's own
EMBEDDING_CHANNELS = 256  # of the image embedding
EMBEDDING_STRIDE = 16  # canvas pixels per cell of the image embedding
LOGITS_STRIDE = 4  # canvas pixels per low-resolution logit
MAX_CANVAS_SIZE = 4096  # 16 times the time and memory of 1024; a file that says more is damaged
CANVAS_MULTIPLE = 64  # other canvas sizes must be multiples of this (the strides of every encoder divide it)

PIXEL_MEAN = (123.675, 116.28, 103.53)  # RGB, on the 0..255 scale
PIXEL_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class CanvasFit:
    """Size and place of one photo on the canvas.

    Attributes:
        photo_hw: height and width of the photo in pixels.
        content_hw: height and width of the part of the canvas that shows the photo, in canvas pixels.
        canvas_size: side of the canvas in pixels.
    """

    photo_hw: tuple[int, int]
    content_hw: tuple[int, int]
    canvas_size: int

    def coords_to_canvas(self, coords_xy: NDArray[Any]) -> NDArray[np.float64]:
        """(..., 2) x and y in photo pixels -> the same in canvas pixels."""
        return np.asarray(coords_xy, dtype=np.float64) * self._scale_xy()

    def boxes_to_canvas(self, boxes_xyxy: NDArray[Any]) -> NDArray[np.float64]:
        """(..., 4) boxes in photo pixels -> the same in canvas pixels."""
        boxes = np.asarray(boxes_xyxy, dtype=np.float64)
        corners = boxes.reshape(*boxes.shape[:-1], 2, 2)  # (..., 4) -> (..., 2 corners, 2)
        return self.coords_to_canvas(corners).reshape(boxes.shape)

    def _scale_xy(self) -> NDArray[np.float64]:
        (height, width), (content_height, content_width) = self.photo_hw, self.content_hw
        return np.array([content_width / width, content_height / height])


def fit_photo(photo_hw: tuple[int, int], canvas_size: int = CANVAS_SIZE) -> CanvasFit:
    """The place of a photo of this size. A side is at least one pixel long (SAM's own rule can make it 0)."""
    height, width = photo_hw
    scale = canvas_size * 1.0 / max(height, width)
    content_hw = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))
    return CanvasFit((height, width), content_hw, canvas_size)


def resize_photo(photo: Photo, fit: CanvasFit) -> Photo:
    """The photo (H, W, 3) at its size on the canvas, by Pillow's bilinear filter, which averages when scaling down."""
    height, width = fit.content_hw
    return np.array(Image.fromarray(photo).resize((width, height), Image.Resampling.BILINEAR))


def normalise_and_pad(content: Photo, canvas_size: int) -> NDArray[np.float32]:
    """(H, W, 3) uint8, already resized -> (1, 3, S, S) float32, normalised first and padded with zeros after."""
    mean, std = np.array(PIXEL_MEAN, dtype=np.float32), np.array(PIXEL_STD, dtype=np.float32)
    height, width = content.shape[:2]
    canvas = np.zeros((1, 3, canvas_size, canvas_size), dtype=np.float32)
    canvas[0, :, :height, :width] = ((content - mean) / std).transpose(2, 0, 1)  # (H, W, 3) -> (3, H, W)
    return canvas


def photo_to_canvas(photo: Photo, canvas_size: int = CANVAS_SIZE) -> tuple[NDArray[np.float32], CanvasFit]:
    """(H, W, 3) uint8 -> the (1, 3, S, S) float32 canvas, and the photo's place on it."""
    fit = fit_photo((photo.shape[0], photo.shape[1]), canvas_size)
    return normalise_and_pad(resize_photo(photo, fit), canvas_size), fit


def check_canvas_size(canvas_size: int) -> None:
    """Check that every encoder can work on a canvas of this size.

    Raises:
        ValueError: not a multiple of 64, or larger than 4096.
    """
    fits = isinstance(canvas_size, int) and CANVAS_MULTIPLE <= canvas_size <= MAX_CANVAS_SIZE
    if not fits or canvas_size % CANVAS_MULTIPLE:
        raise ValueError(
            f"canvas must be a multiple of {CANVAS_MULTIPLE} pixels up to {MAX_CANVAS_SIZE}, got {canvas_size!r}"
        )
