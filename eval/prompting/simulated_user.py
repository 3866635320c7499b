"""A simulated user: prompts with a box or a click from ground truth, then clicks where the mask is still wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask
from repvit_sam.predictor import SamPredictor

from ..datasets.boxes import Box
from ..datasets.coco import Instance
from ..metrics.iou import iou
from .click_protocols import ClickMaskChoice, ClickProtocol, prompt_name
from .ground_truth import box_of, centre_of, centroid_of
from .next_click import next_click


@dataclass(frozen=True)
class PromptedMasks:
    """The masks of B instances under one kind of prompt.

    Attributes:
        prompt: its name, as "box" or "2 clicks".
        masks: (B, H, W) bool.
        points: (B, N, 2) the clicks so far, in the centres of their pixels.
        labels: (B, N) 1 object, 0 background, -1 no click, because the mask was correct already.
    """

    prompt: str
    masks: NDArray[np.bool_]
    points: NDArray[np.float64]
    labels: NDArray[np.int64]


def prompt_instances(
    predictor: SamPredictor, instances: Sequence[Instance], protocol: ClickProtocol
) -> Iterator[PromptedMasks]:
    """The masks for boxes and the clicks after them, then those for each number of clicks, on the photo that is set."""
    boxes = np.array([box_prompt(instance, protocol) for instance in instances])
    yield from _prompt_and_correct(predictor, instances, protocol, boxes, protocol.clicks_after_box)
    yield from _prompt_and_correct(predictor, instances, protocol, None, protocol.rounds - 1)


def box_prompt(instance: Instance, protocol: ClickProtocol) -> Box:
    """The box that the protocol prompts with."""
    if protocol.box == "annotation" and instance.box is not None:
        return instance.box
    return box_of(instance.mask)


@dataclass(frozen=True)
class _Prompt:
    points: NDArray[np.float64]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float64] | None
    logits: NDArray[np.float32] | None


def _prompt_and_correct(
    predictor: SamPredictor,
    instances: Sequence[Instance],
    protocol: ClickProtocol,
    boxes: NDArray[np.float64] | None,
    corrections: int,
) -> Iterator[PromptedMasks]:
    """Prompt with the boxes, or with a first click if there are none; then correct each mask with further clicks."""
    truths = [instance.mask for instance in instances]
    points = np.zeros((len(truths), 0, 2)) if boxes is not None else _first_clicks(truths, protocol)
    labels = np.ones(points.shape[:2], dtype=np.int64)
    for_box, for_first_click, for_further_clicks = protocol.masks
    choice = for_first_click if boxes is None else for_box
    masks, logits = _predict(predictor, truths, _Prompt(points, labels, boxes, None), choice, protocol)
    yield PromptedMasks(prompt_name(points.shape[1], boxes is not None), masks, points, labels)
    for _ in range(corrections):
        new_points, new_labels = _next_clicks(truths, masks, points, labels, protocol)
        points, labels = np.concatenate([points, new_points], axis=1), np.concatenate([labels, new_labels], axis=1)
        prompt = _Prompt(points, labels, boxes, logits if protocol.feedback else None)
        new_masks, new_logits = _predict(predictor, truths, prompt, for_further_clicks, protocol)
        wrong = new_labels[:, 0] >= 0  # a mask that is correct already is kept
        masks = np.where(wrong[:, None, None], new_masks, masks)
        logits = np.where(wrong[:, None, None, None], new_logits, logits)
        yield PromptedMasks(prompt_name(points.shape[1], boxes is not None), masks, points, labels)


def _first_clicks(truths: Sequence[Mask], protocol: ClickProtocol) -> NDArray[np.float64]:
    """(B, 1, 2)"""
    first = centroid_of if protocol.first_click == "centroid" else centre_of
    return np.array([[first(truth)] for truth in truths])


def _next_clicks(
    truths: Sequence[Mask],
    masks: NDArray[np.bool_],
    points: NDArray[np.float64],
    labels: NDArray[np.int64],
    protocol: ClickProtocol,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(B, 1, 2) points and (B, 1) labels of one more click each; label -1 where the mask is correct."""
    earlier = [point[label >= 0] for point, label in zip(points, labels, strict=True)]
    clicks = [
        next_click(truth, mask, protocol.next_click, clicked) or ((0.0, 0.0), -1)
        for truth, mask, clicked in zip(truths, masks, earlier, strict=True)
    ]
    return np.array([[point] for point, _ in clicks]), np.array([[label] for _, label in clicks])


def _predict(
    predictor: SamPredictor,
    truths: Sequence[Mask],
    prompt: _Prompt,
    choice: ClickMaskChoice,
    protocol: ClickProtocol,
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """(B, H, W) masks as chosen, and their low-resolution logits (B, 1, h, w)."""
    shift = 0.5 if protocol.point_at == "corner" else 0.0
    clicked = prompt.points.shape[1] > 0
    masks, ious, logits = predictor.predict(
        prompt.points - shift if clicked else None,
        prompt.labels if clicked else None,
        box=prompt.boxes,
        mask_input=prompt.logits,
        multimask_output=choice != "single",
        batched=True,
        refine=protocol.refine,
    )
    if choice == "oracle":
        ious = np.array([[iou(truth, mask) for mask in three] for truth, three in zip(truths, masks, strict=True)])
    rows, best = np.arange(len(masks)), ious.argmax(1)
    return masks[rows, best], logits[rows, best][:, None]
