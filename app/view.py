"""What a visitor sees of a visit: the picture, kept small enough to travel on every click, and a line of text."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from repvit_sam.app.visit import Visit
from repvit_sam.canvas import fit_photo, resize_photo
from repvit_sam.draw import cut_out, draw_prompts, mask_picture, overlay
from repvit_sam.photo import Photo

VIEW_SIDE = 1024  # pixels; the long side of the picture that is shown, however large or small the photo


def view(visit: Visit) -> Photo:
    """The photo with mask and prompts, ``VIEW_SIDE`` pixels long."""
    scale = view_scale(visit)
    fit = fit_photo((visit.photo.shape[0], visit.photo.shape[1]), VIEW_SIDE)
    picture = resize_photo(visit.photo, fit)
    if visit.mask is not None:
        mask = cv2.resize(visit.mask.astype(np.float32), fit.content_hw[::-1], interpolation=cv2.INTER_LINEAR)
        picture = overlay(picture, [mask > 0.5])
    points = [(x * scale, y * scale, label) for x, y, label in visit.points]
    if visit.open_corner:
        points.append((visit.open_corner[0] * scale, visit.open_corner[1] * scale, 1))
    boxes = [[side * scale for side in visit.box_xyxy]] if visit.box_xyxy else []
    return draw_prompts(picture, points, boxes)


def view_scale(visit: Visit) -> float:
    """View pixels per photo pixel."""
    return VIEW_SIDE / max(visit.photo.shape[:2])


def status(visit: Visit) -> str:
    """One line: what there is, and what to do next."""
    height, width = visit.photo.shape[:2]
    if visit.open_corner:
        return "First corner set; click the opposite one."
    if visit.mask is None:
        return f"{width} x {height} pixels. Click the object, or choose the box and click two corners."
    share = np.count_nonzero(visit.mask) / visit.mask.size
    return f"{np.count_nonzero(visit.mask):,} pixels ({share:.1%}), predicted IoU {visit.predicted_iou:.2f}."


def write_results(visit: Visit, folder: Path) -> list[str]:
    """cutout.png and mask.png at photo size, in a folder of this visitor's; empty while there is no mask."""
    if visit.mask is None:
        return []
    pictures = {"cutout.png": cut_out(visit.photo, visit.mask), "mask.png": mask_picture(visit.mask)}
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / name)
    return [str(folder / name) for name in pictures]
