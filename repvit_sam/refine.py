"""A second look at one object: the square around it is encoded once more, and both answers become one mask.

On the canvas of a whole photo a small object has few pixels. The square around it fills a canvas of its own, so its
edge is found more finely. No weights change, and any backend can do it. It costs one encoding for each object.

The constants were chosen on photos that none of the published figures is measured on (docs/evaluation.md, "A second
look").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .backends import Backend
from .canvas import LOGITS_STRIDE, CanvasFit, photo_to_canvas
from .embedding import EncodedPhoto, as_numpy
from .errors import PhotoNotSetError
from .masks import MASK_THRESHOLD, best_mask, mask_extent, mask_slice
from .prompts import CanvasPrompts, Prompts

# mean IoU of boxes with 1.6, 2.0 and 2.5: +0.012, +0.013 and +0.014; one that is too tight cuts off what the box missed
CROP_SCALE = 2.0  # side of the square, in longer sides of the object
# of small objects the second answer alone gains 0.027, the mean of both 0.012; of all objects 0.003 and 0.010
SMALL_AREA = 2600  # canvas pixels: 32x32 of a photo 640 pixels wide; below it the second answer counts alone
NO_PHOTO = -10.0  # logits of a mask input where the canvas shows no photo: background

LowRes = NDArray[np.float32]  # (S/4, S/4) logits of one mask
Prediction = tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]


class Crop(NamedTuple):
    """A part of a photo in whole pixels, XYXY."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns: ``photo[crop.pixels]``."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width."""
        return self.y1 - self.y0, self.x1 - self.x0


@dataclass(frozen=True, eq=False)
class SecondLook:
    """Both answers for one object as one, inside the crop. Outside it the first answer stays as it is.

    Attributes:
        crop: the part of the photo that was encoded again.
        fit: the crop's place on its canvas.
        low_res_logits: (S/4, S/4) on that canvas.
        iou_prediction: the predicted IoU of both answers as one, merged as the logits are.
    """

    crop: Crop
    fit: CanvasFit
    low_res_logits: LowRes
    iou_prediction: float

    def photo_logits(self) -> NDArray[np.float32]:
        """(h, w) logits in pixels of the photo: those of ``crop.pixels``."""
        height, width = self.crop.hw
        return resample(self.low_res_logits, self.fit, (0, 0, width, height), self.crop.hw)

    def into_low_res(self, low_res_logits: LowRes, fit: CanvasFit) -> LowRes:
        """(S/4, S/4) logits of the whole photo, with the crop put in: the mask input of a later prompt.

        Args:
            low_res_logits: the first answer.
            fit: the photo's place on its canvas.
        """
        merged = low_res_logits.copy()
        per_x, per_y = _cells_per_pixel(fit)
        # cells that lie wholly inside the crop
        left, right = int(np.ceil(self.crop.x0 * per_x)), int(self.crop.x1 * per_x)
        top, bottom = int(np.ceil(self.crop.y0 * per_y)), int(self.crop.y1 * per_y)
        if left < right and top < bottom:
            x0, y0 = self.crop.x0, self.crop.y0
            part = (left / per_x - x0, top / per_y - y0, right / per_x - x0, bottom / per_y - y0)
            size = (bottom - top, right - left)
            merged[top:bottom, left:right] = resample(self.low_res_logits, self.fit, part, size)
        return merged


def crop_around(box_xyxy: tuple[float, float, float, float], photo_hw: tuple[int, int]) -> Crop | None:
    """The square around a box, ``CROP_SCALE`` times its longer side, moved into the photo, cut off where it is larger.

    Args:
        box_xyxy: in pixels of the photo; may reach beyond it.

    Returns:
        None where the crop would be the whole photo.

    Example:
        >>> from repvit_sam.refine import crop_around
        >>> crop_around((10, 100, 50, 120), (300, 400))
        Crop(x0=0, y0=70, x1=80, y1=150)
    """
    x0, y0, x1, y1 = box_xyxy
    side = max(1.0, CROP_SCALE * max(x1 - x0, y1 - y0))
    height, width = photo_hw
    left, right = _span((x0 + x1) / 2, side, width)
    top, bottom = _span((y0 + y1) / 2, side, height)
    crop = Crop(left, top, right, bottom)
    return None if crop.hw == photo_hw else crop


def _span(middle: float, side: float, length: int) -> tuple[int, int]:
    """First and last + 1 of ``side`` pixels around the middle, inside 0..length."""
    side = min(round(side), length)
    start = min(max(round(middle - side / 2), 0), length - side)
    return start, start + side


def look_again(
    backend: Backend, encoded: EncodedPhoto, prompts: Prompts, low_res_logits: LowRes, iou_prediction: float
) -> SecondLook | None:
    """Encode the square around one object, decode the same prompts on it, and make one answer of both.

    The decoder gets the prompts, moved to the crop, with the box of the first answer where they have none, and the
    first answer as mask input.

    Args:
        backend: the one that made ``encoded``.
        encoded: the photo, with its pixels.
        prompts: one prompt, in pixels of the photo.
        low_res_logits: (S/4, S/4), the first answer to it.
        iou_prediction: of the first answer; NaN where it is not known.

    Returns:
        None where there is nothing to gain: the mask is empty, or the square is the whole photo.

    Raises:
        PhotoNotSetError: ``encoded`` is without the photo's pixels.
    """
    if encoded.photo is None:
        raise PhotoNotSetError(
            "a second look needs the photo, but only its embedding is set; call set_image(photo) for refine=True"
        )
    box = _mask_box(low_res_logits, encoded.fit)
    if box is None:
        return None
    crop = crop_around(box if prompts.boxes is None else tuple(prompts.boxes[0]), encoded.fit.photo_hw)
    if crop is None:
        return None
    canvas, fit = photo_to_canvas(np.ascontiguousarray(encoded.photo[crop.pixels]), encoded.fit.canvas_size)
    first = _first_answer_in_crop(low_res_logits, encoded.fit, crop, fit)
    logits, ious = backend.decode(
        backend.encode(canvas), _prompts_in_crop(prompts, box, crop, first, fit), mask_slice(multimask_output=False)
    )
    second, second_iou = as_numpy(logits)[0, 0], float(as_numpy(ious)[0, 0])
    area = np.count_nonzero(low_res_logits > MASK_THRESHOLD) * LOGITS_STRIDE**2
    if area < SMALL_AREA:
        return SecondLook(crop, fit, second, second_iou)
    return SecondLook(crop, fit, (first + second) / 2, float(np.nanmean([iou_prediction, second_iou])))


def refine_prediction(
    backend: Backend, encoded: EncodedPhoto, prompts: Prompts, prediction: Prediction, return_logits: bool
) -> Prediction:
    """The results of ``SamPredictor.predict`` for B prompts, with a second look at the best rated mask of each.

    Of three masks the ratings stay, so that the best rated one remains the refined one.

    Args:
        prediction: masks (B, C, H, W), changed in place; predicted IoU (B, C); low-resolution logits (B, C, S/4, S/4).
        return_logits: whether the masks are logits.
    """
    masks, iou_predictions, low_res_logits = prediction[0], prediction[1].copy(), prediction[2].copy()
    for index in range(prompts.count):
        best = best_mask(iou_predictions[index])
        first, iou = low_res_logits[index, best], float(iou_predictions[index, best])
        look = look_again(backend, encoded, prompts.part(index, index + 1), first, iou)
        if look is None:
            continue
        logits = look.photo_logits()
        masks[index, best][look.crop.pixels] = logits if return_logits else logits > MASK_THRESHOLD
        low_res_logits[index, best] = look.into_low_res(first, encoded.fit)
        if masks.shape[1] == 1:
            iou_predictions[index, best] = look.iou_prediction
    return masks, iou_predictions, low_res_logits


def resample(
    low_res_logits: LowRes, fit: CanvasFit, part_xyxy: tuple[float, float, float, float], size_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """A part of a photo's logits at another size: bilinear, and averaging where it shrinks (Pillow's filter).

    Args:
        low_res_logits: (S/4, S/4)
        fit: the place on the canvas of the photo that they are of.
        part_xyxy: in pixels of that photo.
    """
    per_x, per_y = _cells_per_pixel(fit)
    x0, y0, x1, y1 = part_xyxy
    padded = np.pad(low_res_logits, (0, 1), mode="edge")  # the last cell of a crop may reach beyond the canvas
    side = len(padded)
    cells = (max(x0 * per_x, 0), max(y0 * per_y, 0), min(x1 * per_x, side), min(y1 * per_y, side))
    height, width = size_hw
    return np.array(Image.fromarray(padded).resize((width, height), Image.Resampling.BILINEAR, box=cells))


def _cells_per_pixel(fit: CanvasFit) -> tuple[float, float]:
    """Low-resolution cells in a pixel of the photo, across and down."""
    (height, width), (content_height, content_width) = fit.photo_hw, fit.content_hw
    return content_width / width / LOGITS_STRIDE, content_height / height / LOGITS_STRIDE


def _mask_box(low_res_logits: LowRes, fit: CanvasFit) -> tuple[float, float, float, float] | None:
    """The box of the object, XYXY in pixels of the photo, as finely as the cells tell; None for an empty mask."""
    (height, width), (per_x, per_y) = fit.photo_hw, _cells_per_pixel(fit)
    content = low_res_logits[: int(np.ceil(height * per_y)), : int(np.ceil(width * per_x))]
    rows, columns = mask_extent(content > MASK_THRESHOLD)
    if rows.stop == 0:
        return None
    return columns.start / per_x, rows.start / per_y, columns.stop / per_x, rows.stop / per_y


def _first_answer_in_crop(low_res_logits: LowRes, fit: CanvasFit, crop: Crop, crop_fit: CanvasFit) -> LowRes:
    """The photo's logits on the crop's canvas: (S/4, S/4)."""
    side = len(low_res_logits)
    rows, columns = (-(-length // LOGITS_STRIDE) for length in crop_fit.content_hw)
    per_x, per_y = _cells_per_pixel(crop_fit)
    part = (crop.x0, crop.y0, crop.x0 + columns / per_x, crop.y0 + rows / per_y)
    moved = np.full((side, side), NO_PHOTO, dtype=np.float32)
    moved[:rows, :columns] = resample(low_res_logits, fit, part, (rows, columns))
    return moved


def _prompts_in_crop(
    prompts: Prompts, mask_box: tuple[float, float, float, float], crop: Crop, mask_input: LowRes, fit: CanvasFit
) -> CanvasPrompts:
    """One prompt as the decoder takes it on the crop's canvas.

    A box is cut off at the crop. A point outside the crop becomes padding. Without a box it gets that of the mask.
    """
    height, width = crop.hw
    corner, size = np.array([crop.x0, crop.y0]), np.array([width, height])
    coords = labels = None
    if prompts.point_coords is not None and prompts.point_labels is not None:
        moved = prompts.point_coords - corner
        inside = ((moved >= 0) & (moved <= size)).all(-1)
        coords, labels = fit.coords_to_canvas(moved), np.where(inside, prompts.point_labels, -1)
    given = np.array([mask_box]) if prompts.boxes is None else prompts.boxes
    corners = np.clip(given.reshape(-1, 2, 2) - corner, 0, size)
    return CanvasPrompts(coords, labels, fit.boxes_to_canvas(corners.reshape(-1, 4)), mask_input[None, None])
