"""Pictures of an evaluation: annotated beside predicted masks, sheets of them, the best, median and worst cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import typer
from PIL import Image, ImageDraw, ImageFont

from repvit_sam.files import atomic_write
from repvit_sam.masks import Mask
from repvit_sam.photo import Photo, read_photo
from repvit_sam.predictor import SamPredictor
from repvit_sam.rle import decode_rle
from repvit_sam.visualize import draw_prompts, overlay

from ..datasets.annotations import Annotations
from ..datasets.coco import Instance
from ..metrics.instances import MatchedMask
from ..prompting.click_protocols import ClickProtocol
from ..prompting.ground_truth import box_of
from ..prompting.simulated_user import box_prompt, prompt_instances

TILE = 300  # pixels, each side of a tile

_COLUMNS = 2  # pictures side by side


@dataclass(frozen=True)
class Example:
    """A case that can be drawn.

    Attributes:
        score: higher is better.
        draw: makes the picture, (H, W, 3) uint8, all of one size; called only for the cases that are drawn.
    """

    score: float
    draw: Callable[[], Photo]


def save_examples(folder: Path, examples: Sequence[Example], each: int = 6) -> None:
    """Write ``folder/best.jpg``, ``median.jpg`` and ``worst.jpg`` with up to ``each`` cases; nothing without cases."""
    ranked = sorted(examples, key=lambda example: -example.score)
    if not ranked:
        return
    middle = max(0, (len(ranked) - each) // 2)
    parts = {"best": ranked[:each], "median": ranked[middle : middle + each], "worst": ranked[::-1][:each]}
    for name, chosen in parts.items():
        save_picture(folder / f"{name}.jpg", sheet([example.draw() for example in chosen]))
    typer.echo(f"written: {folder}/best.jpg, median.jpg, worst.jpg", err=True)


def save_picture(path: Path, picture: Photo) -> None:
    """Write (H, W, 3) uint8 in the format of the path's ending."""
    with atomic_write(path) as beside:
        Image.fromarray(picture).save(beside, quality=85)


def draw_masks(photo: Photo, truth: Mask, predicted: Mask, caption: str) -> Photo:
    """(TILE, 2 TILE, 3): the annotated object on the left, the predicted one with the caption on the right."""
    box = box_of(truth) if truth.any() else (0.0, 0.0, float(photo.shape[1]), float(photo.shape[0]))
    pair = [crop_around(overlay(photo, [mask]), box) for mask in (truth, predicted)]
    return add_caption(np.hstack(pair), caption, TILE)


def draw_prompted(
    predictor: SamPredictor, photo: Photo, instance: Instance, protocol: ClickProtocol, prompt: str, caption: str
) -> Photo:
    """As ``draw_masks``, with the box and clicks that were given. Encodes the photo and predicts the mask again.

    Args:
        prompt: "box", "3 clicks" ...: one of ``protocol.prompts``.
    """
    predictor.set_image(photo)
    found = next(found for found in prompt_instances(predictor, [instance], protocol) if found.prompt == prompt)
    boxes = [box_prompt(instance, protocol)] if prompt.startswith("box") else []
    points = [(x, y, int(label)) for (x, y), label in zip(found.points[0], found.labels[0], strict=True) if label >= 0]
    pair = []
    for mask in (instance.mask, found.masks[0]):
        drawn = draw_prompts(overlay(photo, [mask]), points=points, boxes=boxes)
        pair.append(crop_around(drawn, box_of(instance.mask)))
    return add_caption(np.hstack(pair), caption, TILE)


def matched_examples(matches: Sequence[MatchedMask], annotations: Annotations) -> list[Example]:
    """An example for each annotation with its predicted mask."""

    def draw(match: MatchedMask) -> Photo:
        photo = read_photo(annotations.paths[match.annotation["image_id"]])
        truth = annotations.mask_of(match.annotation)
        return draw_masks(photo, truth, decode_rle(match.rle), f"IoU {match.iou:.2f}")

    return [Example(match.iou, partial(draw, match)) for match in matches]


def crop_around(picture: Photo, box_xyxy: tuple[float, float, float, float]) -> Photo:
    """A square tile around the box, twice as large as its longer side; grey beyond the photo."""
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


def add_caption(picture: Photo, caption: str, left: int = 0) -> Photo:
    """White text with a black edge at the bottom of the picture, from column ``left`` on."""
    written = Image.fromarray(picture)
    place = (left + 8, picture.shape[0] - 26)
    ImageDraw.Draw(written).text(
        place, caption, "white", ImageFont.load_default(18), stroke_width=2, stroke_fill="black"
    )
    return np.asarray(written)


def sheet(pictures: Sequence[Photo], columns: int = _COLUMNS) -> Photo:
    """Pictures of one size in rows; the last row is filled up with white."""
    tiles = list(pictures)
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 255))
    return np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])
