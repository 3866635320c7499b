"""Photos and masks as data URLs of small pictures, which is how they reach the page."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from repvit_sam.canvas import CanvasFit, fit_photo
from repvit_sam.embedding import on_cpu
from repvit_sam.masks import Mask, mask_at_photo_size
from repvit_sam.photo import Photo

VIEW_SIDE = 2048  # pixels of the photo's long side in the page, for zooming
MASK_SIDE = 1024  # pixels of a mask's long side: four times the decoder's


def photo_url(photo: Photo, side: int = VIEW_SIDE) -> str:
    """(H, W, 3) -> a JPEG of at most ``side`` pixels."""
    height, width = _at_most(photo.shape[:2], side)
    picture = Image.fromarray(photo)
    if (height, width) != photo.shape[:2]:
        picture = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _url(picture, "jpeg", quality=90)


def mask_url(mask: Mask) -> str:
    """(H, W) bool -> a PNG of one bit a pixel: white where the object is, transparent elsewhere."""
    picture = Image.fromarray(mask.astype(np.uint8), mode="P")
    picture.putpalette([0, 0, 0, 255, 255, 255])
    return _url(picture, "png", transparency=0, bits=1, compress_level=1)


def logits_to_view(low_res_logits: Any, fit: CanvasFit) -> NDArray[np.bool_]:
    """(N, S/4, S/4) of any backend -> (N, h, w) masks of the photo's shape, at most ``MASK_SIDE`` pixels long."""
    view_fit = replace(fit, photo_hw=_at_most(fit.photo_hw, MASK_SIDE))
    return np.stack([mask_at_photo_size(logits, view_fit) for logits in on_cpu(low_res_logits)])


def mask_to_view(mask: Mask) -> Mask:
    """(H, W) -> the same mask, at most ``MASK_SIDE`` pixels long."""
    height, width = _at_most(mask.shape, MASK_SIDE)
    if (height, width) == mask.shape:
        return mask
    return cv2.resize(mask.astype(np.uint8) * 255, (width, height), interpolation=cv2.INTER_AREA) > 127


def _at_most(photo_hw: tuple[int, ...], side: int) -> tuple[int, int]:
    """(H, W), shrunk to a long side of at most ``side`` pixels."""
    height, width = photo_hw
    return (height, width) if max(height, width) <= side else fit_photo((height, width), side).content_hw


def _url(picture: Image.Image, kind: str, **options: int) -> str:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
