"""Masks from one frame to the next by prompts alone: each mask's box, grown a little, asks for the next frame's mask.

The simplest video method that an image model allows. It has no memory: it loses an object that leaves its box from one
frame to the next, or that comes back elsewhere, and it keeps what it once took in. SAM-PD (Zhou et al., arXiv
2403.04194) begins so, and adds several boxes an object, a choice among their masks, and points. It is not SAM-PT (Rajič
et al., arXiv 2307.01197), which follows points with a point tracker and prompts with these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from repvit_sam.canvas import LOGITS_STRIDE, CanvasFit
from repvit_sam.masks import MASK_THRESHOLD, Mask
from repvit_sam.photo import Photo
from repvit_sam.predictor import SamPredictor

from .ground_truth import box_of

Prompt = Literal["box", "box+mask"]
Masks = NDArray[np.bool_]  # (N, H, W): one for each object, in one order throughout

_SURE = 8.0  # logit of a mask that is given; the decoder's own are near 6 inside a clear object and -14 outside


@dataclass(frozen=True)
class Propagation:
    """How the mask of one frame becomes the prompt in the next.

    Attributes:
        prompt: "box": its tight box. "box+mask": its low-resolution logits as well.
        margin: by which the box grows on each side, as a share of its width and height: enough for an object that comes
            nearer, little enough that a mask which fills its box does not swell from frame to frame.
    """

    prompt: Prompt = "box+mask"
    margin: float = 0.02

    def __post_init__(self) -> None:
        if self.prompt not in get_args(Prompt):
            raise ValueError(f"--prompt must be one of {', '.join(get_args(Prompt))}, got {self.prompt!r}")
        if not 0 <= self.margin <= 1:
            raise ValueError(f"--margin must be a share from 0 to 1, got {self.margin:g}")


def propagate(
    predictor: SamPredictor, frames: Iterable[Photo], first_masks: Masks, propagation: Propagation
) -> Iterator[Masks]:
    """The masks of each frame after the first: one pass of the encoder, all objects in one batch, one mask each.

    An object without a pixel left keeps the prompt that it was last seen with.

    Args:
        frames: those after the first, in order, all of one size; taken one at a time.
        first_masks: (N, H, W), given, none of them empty.

    Yields:
        (N, H, W) for each frame; a pixel belongs to one object at most.
    """
    boxes = np.array([box_of(mask) for mask in first_masks])
    logits: NDArray[np.float32] | None = None
    for frame in frames:
        predictor.set_image(frame)
        if logits is None and propagation.prompt == "box+mask":
            logits = np.stack([logits_of_mask(mask, predictor.encoded.fit) for mask in first_masks])
        grown = np.array([grow(box, propagation.margin, (frame.shape[0], frame.shape[1])) for box in boxes])
        answers, _, new_logits = predictor.predict(
            box=grown, mask_input=logits, multimask_output=False, return_logits=True, batched=True
        )
        masks = share_out(answers[:, 0])
        yield masks
        seen = np.array([mask.any() for mask in masks])
        boxes = np.array([box_of(mask) if mask.any() else box for mask, box in zip(masks, boxes, strict=True)])
        if logits is not None:
            logits = np.where(seen[:, None, None, None], new_logits, logits)


def share_out(logits: NDArray[np.float32]) -> Masks:
    """(N, H, W) logits at photo size -> masks without overlap: a pixel that several claim goes to the highest logit."""
    best = logits.argmax(0)
    return cast(Masks, (logits > MASK_THRESHOLD) & (np.arange(len(logits))[:, None, None] == best))


def grow(box_xyxy: Sequence[float], margin: float, photo_hw: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box with ``margin`` of its sides added on each side, as far as the photo reaches."""
    x0, y0, x1, y1 = (float(number) for number in box_xyxy)
    across, down = margin * (x1 - x0), margin * (y1 - y0)
    height, width = photo_hw
    return max(0.0, x0 - across), max(0.0, y0 - down), min(float(width), x1 + across), min(float(height), y1 + down)


def logits_of_mask(mask: Mask, fit: CanvasFit) -> NDArray[np.float32]:
    """A mask that is given, (H, W), as the decoder would have answered it: (1, S/4, S/4) logits.

    0 where half of a cell is covered, so that they become the same mask at photo size, but for its finest details.
    """
    height, width = fit.content_hw
    canvas = np.zeros((fit.canvas_size, fit.canvas_size), dtype=np.float32)
    canvas[:height, :width] = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    cells = fit.canvas_size // LOGITS_STRIDE
    covered = canvas.reshape(cells, LOGITS_STRIDE, cells, LOGITS_STRIDE).mean((1, 3))  # (S/4, S/4), 0 to 1
    return ((2 * covered - 1) * _SURE)[None].astype(np.float32)
