"""An instance as annotated beside the answer to a prompt, the prompt drawn on both."""

from __future__ import annotations

import numpy as np

from repvit_sam.photo import Photo
from repvit_sam.predictor import SamPredictor
from repvit_sam.visualize import draw_prompts, overlay

from ..datasets.coco import Instance
from ..prompting.click_protocols import ClickProtocol
from ..prompting.ground_truth import box_of
from ..prompting.simulated_user import box_prompt, prompt_instances
from .pictures import TILE, captioned, square_around


def tile(
    predictor: SamPredictor, photo: Photo, instance: Instance, protocol: ClickProtocol, prompt: str, caption: str
) -> Photo:
    """Truth (left) and answer (right) around one instance, the caption on the answer. The photo is encoded for it."""
    predictor.set_image(photo)
    answer = next(each for each in prompt_instances(predictor, [instance], protocol) if each.prompt == prompt)
    boxes = [box_prompt(instance, protocol)] if prompt.startswith("box") else []
    points = [
        (x, y, int(label)) for (x, y), label in zip(answer.points[0], answer.labels[0], strict=True) if label >= 0
    ]
    pictures = []
    for mask in (instance.mask, answer.masks[0]):
        drawn = draw_prompts(overlay(photo, [mask]), points=points, boxes=boxes)
        pictures.append(square_around(drawn, box_of(instance.mask)))
    return captioned(np.hstack(pictures), caption, TILE)
