"""What a visitor sees of a visit: the picture, kept small enough to travel on every click, and a line of text."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from repvit_sam.app.visit import Visit
from repvit_sam.draw import cut_out, draw_prompts, mask_picture, overlay
from repvit_sam.photo import Photo


def view(visit: Visit) -> Photo:
    """The photo with mask and prompts, ``VIEW_SIDE`` pixels long."""
    picture, fit = visit.shown, visit.view_fit
    if visit.mask is not None:
        shrinking = fit.content_hw < fit.photo_hw
        mask = cv2.resize(
            visit.mask.astype(np.uint8) * 255,
            fit.content_hw[::-1],
            interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
        )
        # shown small, a pixel counts that the mask touches at all: thin masks stay visible
        picture = overlay(picture, [mask > (0 if shrinking else 127)])
    points = [(*fit.coords_to_canvas(np.array([x, y])), label) for x, y, label in visit.points]
    if visit.open_corner:
        points.append((*fit.coords_to_canvas(np.array(visit.open_corner)), 1))
    boxes = [fit.boxes_to_canvas(np.array(visit.box_xyxy))] if visit.box_xyxy else []
    return draw_prompts(picture, points, boxes)


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
