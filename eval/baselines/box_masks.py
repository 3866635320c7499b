"""Baselines that make a mask from the box alone, or from box and colours. Any model must be better."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from repvit_sam.masks import Mask
from repvit_sam.photo import Photo

from ..datasets.boxes import Box


def filled_box(photo: Photo, box: Box) -> Mask:
    """Every pixel of the box."""
    x0, y0, x1, y1 = (round(value) for value in box)
    mask = np.zeros(photo.shape[:2], dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def ellipse_in_box(photo: Photo, box: Box) -> Mask:
    """The ellipse that touches the four sides of the box."""
    x0, y0, x1, y1 = box
    y, x = np.mgrid[0 : photo.shape[0], 0 : photo.shape[1]] + 0.5  # pixel centres
    return ((x - (x0 + x1) / 2) / ((x1 - x0) / 2)) ** 2 + ((y - (y0 + y1) / 2) / ((y1 - y0) / 2)) ** 2 <= 1


def grab_cut(photo: Photo, box: Box) -> Mask:
    """OpenCV's GrabCut (Rother et al., 2004), initialised with the box, five iterations on the whole photo."""
    height, width = photo.shape[:2]
    x0, y0, x1, y1 = (round(value) for value in box)
    if x0 <= 0 and y0 <= 0 and x1 >= width and y1 >= height:
        return filled_box(photo, box)  # without background there is nothing to learn from
    labels = np.zeros((height, width), dtype=np.uint8)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    rectangle = (x0, y0, x1 - x0, y1 - y0)
    bgr = np.ascontiguousarray(photo[..., ::-1])
    try:
        cv2.grabCut(bgr, labels, rectangle, background, foreground, 5, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # fewer object pixels than components of its colour model (five)
        return filled_box(photo, box)
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


BASELINES: dict[str, Callable[[Photo, Box], Mask]] = {
    "box filled": filled_box,
    "ellipse in the box": ellipse_in_box,
    "GrabCut": grab_cut,
}
