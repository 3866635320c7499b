"""A simulated user: asks with a box or a click from ground truth, and clicks again where the answer is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask
from repvit_sam.predictor import SamPredictor

from ..datasets.coco import Instance
from ..metrics.iou import iou
from .click_protocols import Choice, ClickProtocol, prompt_name
from .ground_truth import box_of, centre_of, centroid_of, next_click


@dataclass(frozen=True)
class Answer:
    """To one prompt, for every instance.

    Attributes:
        masks: (B, H, W) bool.
        points: (B, N, 2) the clicks so far, in the centres of their pixels.
        labels: (B, N) 1 object, 0 background, -1 no click: that instance was right already.
    """

    prompt: str
    masks: NDArray[np.bool_]
    points: NDArray[np.float64]
    labels: NDArray[np.int64]


def ask(predictor: SamPredictor, instances: Sequence[Instance], protocol: ClickProtocol) -> Iterator[Answer]:
    """The answers to the boxes (and the clicks after them), then to each number of clicks, on the photo that is set."""
    boxes = np.array([box_prompt(instance, protocol) for instance in instances])
    yield from _converse(predictor, instances, protocol, boxes, protocol.clicks_after_box)
    yield from _converse(predictor, instances, protocol, None, protocol.rounds - 1)


def box_prompt(instance: Instance, protocol: ClickProtocol) -> tuple[float, float, float, float]:
    """XYXY, photo pixels."""
    if protocol.box == "annotation" and instance.box is not None:
        return instance.box
    return box_of(instance.mask)


def _converse(
    predictor: SamPredictor,
    instances: Sequence[Instance],
    protocol: ClickProtocol,
    boxes: NDArray[np.float64] | None,
    further: int,
) -> Iterator[Answer]:
    truths = [instance.mask for instance in instances]
    if boxes is None:
        start = centroid_of if protocol.first_click == "centroid" else centre_of
        points = np.array([[start(truth)] for truth in truths])
    else:
        points = np.zeros((len(truths), 0, 2))
    labels = np.ones(points.shape[:2], dtype=np.int64)
    for_box, for_first_click, for_further = protocol.masks
    choice = for_first_click if boxes is None else for_box
    current, logits = _masks(predictor, truths, _Prompt(points, labels, boxes, None), choice, protocol)
    yield Answer(prompt_name(points.shape[1], boxes is not None), current, points, labels)
    for _ in range(further):
        before = [place[label >= 0] for place, label in zip(points, labels, strict=True)]
        clicks = [
            next_click(truth, mask, protocol.next_click, clicked)
            for truth, mask, clicked in zip(truths, current, before, strict=True)
        ]
        wrong = np.array([click is not None for click in clicks])  # who is right already keeps the mask
        padded = [click or ((0.0, 0.0), -1) for click in clicks]
        points = np.concatenate([points, np.array([[point] for point, _ in padded])], axis=1)
        labels = np.concatenate([labels, np.array([[label] for _, label in padded])], axis=1)
        prompt = _Prompt(points, labels, boxes, logits if protocol.feedback else None)
        masks, new_logits = _masks(predictor, truths, prompt, for_further, protocol)
        current = np.where(wrong[:, None, None], masks, current)
        logits = np.where(wrong[:, None, None, None], new_logits, logits)
        yield Answer(prompt_name(points.shape[1], boxes is not None), current, points, labels)


@dataclass(frozen=True)
class _Prompt:
    points: NDArray[np.float64]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float64] | None
    logits: NDArray[np.float32] | None


def _masks(
    predictor: SamPredictor, truths: Sequence[Mask], prompt: _Prompt, choice: Choice, protocol: ClickProtocol
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """(B, H, W) masks as chosen, and their logits (B, 1, h, w)."""
    shift = 0.5 if protocol.point_at == "corner" else 0.0
    clicked = prompt.points.shape[1] > 0
    masks, ious, logits = predictor.predict(
        prompt.points - shift if clicked else None,
        prompt.labels if clicked else None,
        box=prompt.boxes,
        mask_input=prompt.logits,
        multimask_output=choice != "single",
        batched=True,
    )
    if choice == "oracle":
        ious = np.array([[iou(truth, mask) for mask in three] for truth, three in zip(truths, masks, strict=True)])
    everyone, best = np.arange(len(masks)), ious.argmax(1)
    return masks[everyone, best], logits[everyone, best][:, None]
