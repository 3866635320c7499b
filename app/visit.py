"""One visitor's photo and prompts: frozen, replaced on every click, never shared with another visitor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray

from repvit_sam.canvas import CanvasFit, fit_photo, resize_photo
from repvit_sam.embedding import EncodedPhoto
from repvit_sam.errors import PhotoError
from repvit_sam.masks import Mask, best_mask
from repvit_sam.model import SamModel
from repvit_sam.photo import Photo, PhotoSource, read_photo
from repvit_sam.predictor import SamPredictor

VIEW_SIDE = 1024  # pixels; the long side of the picture that is shown, however large or small the photo
MAX_PIXELS = 30_000_000  # a visit stays in the server's memory for an hour


class Tool(str, Enum):
    """What a click on the photo means."""

    OBJECT = "Object point"
    BACKGROUND = "Background point"
    BOX = "Box (two corners)"


@dataclass(frozen=True)
class Click:
    """One click, in photo pixels."""

    tool: Tool
    x: float
    y: float


@dataclass(frozen=True)
class Visit:
    """A photo, its embedding, the clicks so far and the mask they give.

    Attributes:
        shown: the photo at ``VIEW_SIDE``, as the page has it.
        mask: (H, W) bool, or None while there is nothing to predict from.
        predicted_iou: the model's own rating of the mask.
    """

    photo: Photo
    encoded: EncodedPhoto
    shown: Photo
    clicks: tuple[Click, ...] = ()
    mask: Mask | None = None
    predicted_iou: float | None = None

    @property
    def view_fit(self) -> CanvasFit:
        """Photo pixels <-> pixels of ``shown``."""
        return fit_photo((self.photo.shape[0], self.photo.shape[1]), VIEW_SIDE)

    @property
    def points(self) -> tuple[tuple[float, float, int], ...]:
        """(x, y, label) of the point clicks."""
        return tuple((c.x, c.y, int(c.tool is Tool.OBJECT)) for c in self.clicks if c.tool is not Tool.BOX)

    @property
    def box_xyxy(self) -> tuple[float, float, float, float] | None:
        """The last box with both corners, whichever way it was drawn."""
        corners = [(c.x, c.y) for c in self.clicks if c.tool is Tool.BOX]
        if len(corners) < 2:
            return None
        last = len(corners) // 2 * 2
        (xa, ya), (xb, yb) = corners[last - 2 : last]
        return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)

    @property
    def open_corner(self) -> tuple[float, float] | None:
        """The first corner of a box whose second is still to come."""
        corners = [(c.x, c.y) for c in self.clicks if c.tool is Tool.BOX]
        return corners[-1] if len(corners) % 2 else None


def open_photo(model: SamModel, source: PhotoSource) -> Visit:
    """Read and encode a photo. Raises PhotoError."""
    photo = read_photo(source)
    height, width = photo.shape[:2]
    if height * width > MAX_PIXELS:
        raise PhotoError(f"the photo is {width}x{height}; the page takes {MAX_PIXELS:,} pixels, the command line more")
    predictor = SamPredictor(model)
    predictor.set_image(photo)
    return Visit(photo, predictor.encoded, resize_photo(photo, fit_photo((height, width), VIEW_SIDE)))


def click(model: SamModel, visit: Visit, tool: Tool, x: float, y: float) -> Visit:
    """Add a click and predict anew."""
    return _predicted(model, replace(visit, clicks=(*visit.clicks, Click(tool, x, y))))


def undo(model: SamModel, visit: Visit) -> Visit:
    """Take the last click back."""
    return _predicted(model, replace(visit, clicks=visit.clicks[:-1]))


def clear(visit: Visit) -> Visit:
    """Keep the photo, forget the clicks."""
    return Visit(visit.photo, visit.encoded, visit.shown)


def _predicted(model: SamModel, visit: Visit) -> Visit:
    points, box = visit.points, visit.box_xyxy
    # background alone says what the object is not; nothing to show yet
    if box is None and not any(label for _, _, label in points):
        return replace(visit, mask=None, predicted_iou=None)
    predictor = SamPredictor(model)
    predictor.encoded = visit.encoded
    with torch.inference_mode():
        masks, ious, _ = predictor.predict(
            [point[:2] for point in points] or None,
            [point[2] for point in points] or None,
            box,
            multimask_output=box is None and len(points) == 1,
        )
    best = best_mask(ious)
    mask: NDArray[np.bool_] = masks[best]
    return replace(visit, mask=mask, predicted_iou=float(ious[best]))
