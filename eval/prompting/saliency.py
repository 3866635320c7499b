"""How a model that is prompted gives a saliency map: the rules by name. Each of them looks at the truth.

``everything-oracle`` and ``sam-not-perfect`` choose a mask of everything mode by the truth: upper bounds. ``box`` and
``point`` prompt from the truth. eval/saliency.py tells where the rules come from.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from pycocotools import mask as coco_mask

from repvit_sam.mask_generator import SamAutomaticMaskGenerator
from repvit_sam.masks import Mask, best_mask
from repvit_sam.photo import Photo
from repvit_sam.predictor import SamPredictor
from repvit_sam.rle import decode_rle, encode_rle

from ..metrics.saliency import Map
from .everything import Everything
from .ground_truth import box_of, centre_of

SALIENCY_PROTOCOLS = ("everything-oracle", "sam-not-perfect", "box", "point")
EVERYTHING_PROTOCOLS = SALIENCY_PROTOCOLS[:2]

SaliencyMethod = Callable[[Photo, Mask], tuple[Map, int]]  # photo, truth -> (H, W) saliency, number of masks to choose


def saliency_method(predictor: SamPredictor, protocol: str, everything: Everything) -> SaliencyMethod:
    """The rule of that name, on this model.

    Args:
        everything: for the protocols that use everything mode.
    """
    if protocol in EVERYTHING_PROTOCOLS:
        return partial(best_of_everything, everything.generator(predictor), protocol == "sam-not-perfect")
    return partial(prompted_saliency, predictor, protocol == "box")


def prompted_saliency(predictor: SamPredictor, with_box: bool, photo: Photo, truth: Mask) -> tuple[Map, int]:
    """(H, W) probabilities: from the truth's box (one mask), or its deepest point (of three the best predicted)."""
    predictor.set_image(photo)
    if with_box:
        logits, ious, _ = predictor.predict(box=box_of(truth), multimask_output=False, return_logits=True)
    else:
        logits, ious, _ = predictor.predict([centre_of(truth)], [1], multimask_output=True, return_logits=True)
    return sigmoid(logits[best_mask(ious)]), len(logits)


def best_of_everything(
    generator: SamAutomaticMaskGenerator, misses_are_wrong: bool, photo: Photo, truth: Mask
) -> tuple[Map, int]:
    """The mask of best IoU with the truth, as (H, W) zeros and ones.

    Args:
        misses_are_wrong: where no mask overlaps the truth, every pixel is wrong; else nothing is salient.
    """
    masks = [record["segmentation"] for record in generator.generate(photo)]
    ious = coco_mask.iou(masks, [encode_rle(truth)], [0]) if masks else np.zeros((0, 1))
    if ious.max(initial=0) > 0:
        return decode_rle(masks[int(ious.argmax())]).astype(np.float32), len(masks)
    return (~truth if misses_are_wrong else np.zeros_like(truth)).astype(np.float32), len(masks)


def sigmoid(logits: Map) -> Map:
    """In the form that does not overflow."""
    return 0.5 * (1 + np.tanh(logits / 2))
