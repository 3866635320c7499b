"""Masks and prompts -> pictures (overlay, cut-out, mask), as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .masks import Mask, mask_extent
from .photo import Photo

# Twelve colours that stay apart on photographs, also for most colour-blind people (after Paul Tol's schemes)
COLOURS: tuple[tuple[int, int, int], ...] = (
    (0, 119, 187),
    (238, 119, 51),
    (0, 153, 136),
    (238, 51, 119),
    (204, 187, 68),
    (170, 51, 119),
    (51, 187, 238),
    (204, 51, 17),
    (34, 136, 51),
    (102, 204, 238),
    (187, 187, 187),
    (102, 37, 6),
)
_PIXELS_AT_ONCE = 1_000_000
_POINT_COLOURS = {1: (40, 200, 80), 0: (230, 60, 60)}


def overlay(
    photo: Photo,
    masks: Sequence[Mask],
    opacity: float = 0.5,
    colours: Sequence[tuple[int, int, int]] = COLOURS,
    in_order: bool = False,
) -> Photo:
    """The photo with each mask tinted and outlined in a colour of its own.

    Args:
        masks: (H, W) bool each.
        opacity: of the tint, 0..1.
        colours: RGB, used in turn.
        in_order: draw later masks over earlier ones; by default small masks are drawn over large ones.
    """
    picture = photo.copy()
    order = list(range(len(masks)))
    if not in_order:
        order.sort(key=lambda index: -int(np.count_nonzero(masks[index])))
    for index in order:
        _tint(picture, masks[index], colours[index % len(colours)], opacity)
    for index in order:
        _outline(picture, masks[index], colours[index % len(colours)])
    return picture


def draw_prompts(
    picture: Photo, points: Sequence[tuple[float, float, int]] = (), boxes: Sequence[Sequence[float]] = ()
) -> Photo:
    """A copy with points (x, y, label: green for 1, red for 0) and boxes (XYXY) drawn on it."""
    picture = picture.copy()
    size = _line_width(picture)
    for x0, y0, x1, y1 in boxes:
        corners = (round(x0), round(y0)), (round(x1), round(y1))
        cv2.rectangle(picture, *corners, (255, 255, 255), size + 2, cv2.LINE_AA)
        cv2.rectangle(picture, *corners, _POINT_COLOURS[1], size, cv2.LINE_AA)
    for x, y, label in points:
        centre = round(x), round(y)
        cv2.circle(picture, centre, 4 * size + 2, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(picture, centre, 4 * size, _POINT_COLOURS[label], -1, cv2.LINE_AA)
    return picture


def draw_labels(picture: Photo, labels: Sequence[tuple[str, Sequence[float]]]) -> Photo:
    """A copy with labels, each with its box (XYXY): above the box's top edge, else under it.

    A label for which there is no room, because the photo is too small or an earlier label is there, is left out.
    """
    height, width = picture.shape[:2]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(max(11, round(max(height, width) / 50)))
    margin = _line_width(picture) + 1
    taken: list[tuple[float, float, float, float]] = []
    for label, (x0, y0, _, _) in labels:
        left, top, right, bottom = draw.textbbox((0, 0), label, font=font)
        wide, high = right - left + 2 * margin, bottom - top + 2 * margin
        x = max(0, min(x0, width - wide))
        for y in (y0 - high, y0):
            place = (x, y, x + wide, y + high)
            fits = y >= 0 and place[2] <= width and place[3] <= height
            if fits and not any(_overlap(place, other) for other in taken):
                draw.rectangle(place, fill=_POINT_COLOURS[1])
                draw.text((x + margin - left, y + margin - top), label, fill=(0, 0, 0), font=font)
                taken.append(place)
                break
    return np.array(image)


def cut_out(photo: Photo, mask: Mask, feather: float = 0.0) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA: the object; the rest is transparent, and black, so that the file does not contain it.

    Args:
        feather: pixels over which the edge fades, half of them outside the mask; 0 cuts sharply.
    """
    alpha: NDArray[Any] = mask_picture(mask)
    if feather > 0:
        alpha = cv2.GaussianBlur(alpha, (0, 0), feather / 2)  # 95 % of the fading within two standard deviations
    picture = np.zeros((*mask.shape, 4), dtype=np.uint8)
    np.copyto(picture[..., :3], photo, where=(alpha > 0)[..., None])
    picture[..., 3] = alpha
    return picture


def crop_to(picture: NDArray[np.uint8], mask: Mask, margin: float = 0.0) -> NDArray[np.uint8]:
    """The part of a picture around the mask, plus a margin in pixels; all of it if the mask is empty."""
    if not mask.any():
        return picture
    rows, columns = mask_extent(mask)
    more = math.ceil(margin)
    return picture[max(0, rows.start - more) : rows.stop + more, max(0, columns.start - more) : columns.stop + more]


def mask_picture(mask: Mask) -> NDArray[np.uint8]:
    """(H, W) uint8: 255 for the object, 0 for the rest."""
    return mask.astype(np.uint8) * 255


def _overlap(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether two boxes (XYXY) have a point in common."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _tint(picture: Photo, mask: Mask, colour: tuple[int, int, int], opacity: float) -> None:
    """In place, some rows at a time, for a mask may be as large as the photo."""
    share = round(opacity * 256)  # in 256ths: 16-bit integers are faster than floats
    tint = np.array(colour, dtype=np.uint16) * np.uint16(share)
    rows = max(1, _PIXELS_AT_ONCE // max(1, mask.shape[1]))
    for top in range(0, len(mask), rows):
        part, inside = picture[top : top + rows], mask[top : top + rows]
        part[inside] = ((part[inside].astype(np.uint16) * np.uint16(256 - share) + tint) >> 8).astype(np.uint8)


def _outline(picture: Photo, mask: Mask, colour: tuple[int, int, int]) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, colour, _line_width(picture), cv2.LINE_AA)


def _line_width(picture: Photo) -> int:
    return max(1, round(max(picture.shape[:2]) / 500))
