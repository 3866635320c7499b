"""Pictures of an evaluation: tiles around objects, sheets of tiles, the best, median and worst of many cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import typer
from PIL import Image, ImageDraw, ImageFont

from repvit_sam.files import atomic_write
from repvit_sam.masks import Mask
from repvit_sam.photo import Photo
from repvit_sam.visualize import overlay

from ..prompting.ground_truth import box_of

TILE = 300  # pixels, each side of a tile

_COLUMNS = 2  # pictures side by side


@dataclass(frozen=True)
class Case:
    """Something that can be shown.

    Attributes:
        score: higher is better.
        draw: makes the picture, (H, W, 3) uint8, all of one size; called only for what is shown.
    """

    score: float
    draw: Callable[[], Photo]


def save_figures(folder: Path, cases: Sequence[Case], each: int = 6) -> None:
    """``folder/best.jpg``, ``median.jpg`` and ``worst.jpg`` with up to ``each`` cases."""
    ranked = sorted(cases, key=lambda case: -case.score)
    if not ranked:
        return
    middle = max(0, (len(ranked) - each) // 2)
    parts = {"best": ranked[:each], "median": ranked[middle : middle + each], "worst": ranked[::-1][:each]}
    for name, chosen in parts.items():
        save_picture(folder / f"{name}.jpg", sheet([case.draw() for case in chosen]))
    typer.echo(f"written: {folder}/best.jpg, median.jpg, worst.jpg", err=True)


def save_picture(path: Path, picture: Photo) -> None:
    with atomic_write(path) as beside:
        Image.fromarray(picture).save(beside, quality=85)


def truth_and_answer(photo: Photo, truth: Mask, answer: Mask, caption: str) -> Photo:
    """(TILE, 2 TILE, 3): the object as annotated, and as answered, with a caption on the answer."""
    box = box_of(truth) if truth.any() else (0.0, 0.0, float(photo.shape[1]), float(photo.shape[0]))
    pair = [square_around(overlay(photo, [mask]), box) for mask in (truth, answer)]
    return captioned(np.hstack(pair), caption, TILE)


def square_around(picture: Photo, box_xyxy: tuple[float, float, float, float]) -> Photo:
    """The box with as much again around it, as a square tile; grey beyond the photo."""
    x0, y0, x1, y1 = box_xyxy
    half = max(x1 - x0, y1 - y0, 40)
    centre_x, centre_y = (x0 + x1) / 2, (y0 + y1) / 2
    left, top = round(centre_x - half), round(centre_y - half)
    side = round(2 * half)
    inside = picture[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    part = np.full((side, side, 3), 128, picture.dtype)
    down, across = max(-top, 0), max(-left, 0)
    part[down : down + inside.shape[0], across : across + inside.shape[1]] = inside
    return cv2.resize(part, (TILE, TILE), interpolation=cv2.INTER_AREA).astype(np.uint8)


def captioned(picture: Photo, caption: str, left: int = 0) -> Photo:
    """White words, edged black, at the foot of the picture, from ``left`` on."""
    written = Image.fromarray(picture)
    place = (left + 8, picture.shape[0] - 26)
    ImageDraw.Draw(written).text(
        place, caption, "white", ImageFont.load_default(18), stroke_width=2, stroke_fill="black"
    )
    return np.asarray(written)


def sheet(pictures: Sequence[Photo], columns: int = _COLUMNS) -> Photo:
    """Pictures of one size in rows, white where the last row has none."""
    tiles = list(pictures)
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 255))
    return np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])
