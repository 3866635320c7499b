"""Photo <-> canvas: the square that the network sees.

The photo's long side becomes ``canvas_size`` (1024), it lies at the top left, and what is left over is zero after
normalising, that is, the mean colour. The rule is SAM's (segment_anything, utils/transforms.py and Sam.preprocess) and
equal to it to the bit; it stands here, in NumPy and Pillow alone, because engines without torch need it too.
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
MAX_CANVAS_SIZE = 4096  # 16 times the time and memory of 1024; a file that asks for more is not to be believed
CANVAS_MULTIPLE = 64  # other canvas sizes must be multiples of this (the strides of every encoder divide it)

PIXEL_MEAN = (123.675, 116.28, 103.53)  # RGB, on the 0..255 scale
PIXEL_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class CanvasFit:
    """How one photo lies on the canvas. All sizes are in pixels, height first."""

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
    """Where a photo of this size goes. A side never gets shorter than one pixel (SAM's own rule gives 0 there)."""
    height, width = photo_hw
    scale = canvas_size * 1.0 / max(height, width)
    content_hw = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))
    return CanvasFit((height, width), content_hw, canvas_size)


def resize_photo(photo: Photo, fit: CanvasFit) -> Photo:
    """The photo at its size on the canvas: Pillow's bilinear filter, which averages when scaling down."""
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
    """(H, W, 3) uint8 -> the (1, 3, S, S) float32 canvas, and where the photo lies on it."""
    fit = fit_photo((photo.shape[0], photo.shape[1]), canvas_size)
    return normalise_and_pad(resize_photo(photo, fit), canvas_size), fit


def check_canvas_size(canvas_size: int) -> None:
    """Raise ValueError unless every encoder can work at this size."""
    fits = isinstance(canvas_size, int) and CANVAS_MULTIPLE <= canvas_size <= MAX_CANVAS_SIZE
    if not fits or canvas_size % CANVAS_MULTIPLE:
        raise ValueError(
            f"canvas must be a multiple of {CANVAS_MULTIPLE} pixels up to {MAX_CANVAS_SIZE}, got {canvas_size!r}"
        )
