"""Video segmentation by prompts alone: the box of an object's mask, slightly enlarged, is the prompt in the next frame.

This is the simplest video method for an image model. It has no memory: it loses an object that leaves its box between
two frames or reappears elsewhere, and it does not correct its errors. SAM-PD (Zhou et al., arXiv 2403.04194) starts
from the same idea and adds several boxes per object, a choice among their masks, and points. SAM-PT (Rajič et al.,
arXiv 2307.01197) is different: it prompts with points that a point tracker follows.
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

from ..datasets.boxes import Box
from .ground_truth import box_of

Prompt = Literal["box", "box+mask"]
Masks = NDArray[np.bool_]  # (N, H, W): one mask per object, always in the same order

_GIVEN_MASK_LOGIT = 8.0  # the decoder's own logits are near 6 inside a clear object and -14 outside


@dataclass(frozen=True)
class Propagation:
    """How the mask of one frame becomes the prompt in the next.

    Attributes:
        prompt: "box": the tight box of the mask. "box+mask": its low-resolution logits as well.
        margin: the box is enlarged on each side by this share of its width and height: enough for an object that comes
            nearer, and so little that a mask which fills its box does not grow from frame to frame.
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
    """The masks of each frame after the first. Each frame is encoded once, and all objects are decoded in one batch.

    An object whose mask becomes empty keeps its last prompt.

    Args:
        frames: all but the first, in order and of one size; they are read one at a time.
        first_masks: (N, H, W), the true masks of the first frame, none of them empty.

    Yields:
        (N, H, W) for each frame; a pixel belongs to at most one object.
    """
    boxes = np.array([box_of(mask) for mask in first_masks])
    logits: NDArray[np.float32] | None = None
    for frame in frames:
        predictor.set_image(frame)
        if logits is None and propagation.prompt == "box+mask":
            logits = np.stack([logits_of_mask(mask, predictor.encoded.fit) for mask in first_masks])
        grown = np.array([grow(box, propagation.margin, (frame.shape[0], frame.shape[1])) for box in boxes])
        photo_logits, _, new_logits = predictor.predict(
            box=grown, mask_input=logits, multimask_output=False, return_logits=True, batched=True
        )
        masks = resolve_overlaps(photo_logits[:, 0])
        yield masks
        seen = np.array([mask.any() for mask in masks])
        boxes = np.array([box_of(mask) if mask.any() else box for mask, box in zip(masks, boxes, strict=True)])
        if logits is not None:
            logits = np.where(seen[:, None, None, None], new_logits, logits)


def resolve_overlaps(logits: NDArray[np.float32]) -> Masks:
    """(N, H, W) logits at photo size -> masks without overlap: each pixel goes to the object with the highest logit."""
    best = logits.argmax(0)
    return cast(Masks, (logits > MASK_THRESHOLD) & (np.arange(len(logits))[:, None, None] == best))


def grow(box_xyxy: Sequence[float], margin: float, photo_hw: tuple[int, int]) -> Box:
    """The box enlarged on each side by ``margin`` x its width or height, and clipped to the photo."""
    x0, y0, x1, y1 = (float(number) for number in box_xyxy)
    across, down = margin * (x1 - x0), margin * (y1 - y0)
    height, width = photo_hw
    return max(0.0, x0 - across), max(0.0, y0 - down), min(float(width), x1 + across), min(float(height), y1 + down)


def logits_of_mask(mask: Mask, fit: CanvasFit) -> NDArray[np.float32]:
    """An (H, W) mask -> (1, S/4, S/4) logits like those of the decoder, to use as ``mask_input``.

    A cell that is half covered has logit 0: at photo size the logits give the same mask again, except for fine details.
    """
    height, width = fit.content_hw
    canvas = np.zeros((fit.canvas_size, fit.canvas_size), dtype=np.float32)
    canvas[:height, :width] = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    side = fit.canvas_size // LOGITS_STRIDE
    covered = canvas.reshape(side, LOGITS_STRIDE, side, LOGITS_STRIDE).mean((1, 3))  # (S/4, S/4), 0 to 1
    return ((2 * covered - 1) * _GIVEN_MASK_LOGIT)[None].astype(np.float32)
