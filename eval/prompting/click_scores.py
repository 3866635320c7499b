"""Scores of each instance under click prompts: IoU, boundary IoU, agreement with a teacher; and the table of means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask
from repvit_sam.predictor import SamPredictor

from ..baselines.box_masks import BASELINES
from ..datasets.coco import Instance, LabelledPhoto
from ..metrics import Metrics
from ..metrics.iou import boundary_iou, clicks_needed, iou, mean_by_size
from .click_protocols import ClickProtocol, prompt_name
from .ground_truth import box_of
from .simulated_user import prompt_instances

Score = dict[str, Any]  # of one instance: annotation_id, area, and iou, boundary_iou, agreement, each by prompt

_NOC_TARGETS = (0.85, 0.90)  # IoU
_TEACHER_PROMPTS = (prompt_name(0, box=True), prompt_name(1))
_BATCH_SIZE = 64  # instances; with three masks each, 64 instances on 12 megapixels take 2.3 GB


def score_photo(
    predictor: SamPredictor, labelled: LabelledPhoto, protocol: ClickProtocol, teacher: SamPredictor | None = None
) -> list[Score]:
    """For each instance of a photo: IoU and boundary IoU under every prompt, and the IoU with the teacher's masks."""
    for model in (predictor, teacher):
        if model:
            model.set_image(labelled.photo)
    scores: list[Score] = []
    for start in range(0, len(labelled.instances), _BATCH_SIZE):
        instances = labelled.instances[start : start + _BATCH_SIZE]
        batch = [_empty_score(instance) for instance in instances]
        teacher_masks = _teacher_masks(teacher, instances, protocol) if teacher else {}
        for prompted in prompt_instances(predictor, instances, protocol):
            for score, instance, mask in zip(batch, instances, prompted.masks, strict=True):
                _add(score, prompted.prompt, instance, mask)
            if prompted.prompt in teacher_masks:
                for score, mask, other in zip(batch, prompted.masks, teacher_masks[prompted.prompt], strict=True):
                    score["agreement"][prompted.prompt] = iou(other, mask)
        scores += batch
    return scores


def score_baselines(labelled: LabelledPhoto) -> list[Score]:
    """The same for the masks that the baselines make from the box of each instance; the baseline is the prompt."""
    scores = [_empty_score(instance) for instance in labelled.instances]
    for name, baseline in BASELINES.items():
        for score, instance in zip(scores, labelled.instances, strict=True):
            _add(score, name, instance, baseline(labelled.photo, box_of(instance.mask)))
    return scores


def merged(one: Score, other: Score) -> Score:
    """Two scores of one instance under different prompts as one."""
    return {**one, **{measure: {**one[measure], **other[measure]} for measure in ("iou", "boundary_iou")}}


def mean_scores(scores: Sequence[Score], protocol: ClickProtocol, teacher: str | None = None) -> dict[str, Metrics]:
    """The rows of the table: mean IoU for each prompt and baseline, number of clicks (NoC), agreement with the teacher.

    Columns: all instances, those of each size, and boundary IoU.
    """
    areas = [score["area"] for score in scores]

    def means(values: Iterable[float]) -> Metrics:
        return mean_by_size(list(values), areas)

    rows: dict[str, Metrics] = {}
    for prompt in (*protocol.prompts, *(name for name in BASELINES if name in scores[0]["iou"])):
        boundary = means(score["boundary_iou"][prompt] for score in scores)["all"]
        rows[prompt] = {**means(score["iou"][prompt] for score in scores), "boundary IoU": boundary}
    clicks = [prompt_name(count) for count in range(1, protocol.rounds + 1)]
    for target in _NOC_TARGETS:
        needed = means(clicks_needed([score["iou"][prompt] for prompt in clicks], target) for score in scores)
        rows[f"NoC@{round(100 * target)} (of {protocol.rounds})"] = {**needed, "boundary IoU": None}
    for prompt in _TEACHER_PROMPTS if teacher else ():
        agreement = means(score["agreement"][prompt] for score in scores)
        rows[f"{prompt}, IoU with {teacher}"] = {**agreement, "boundary IoU": None}
    return rows


def _teacher_masks(
    teacher: SamPredictor, instances: Sequence[Instance], protocol: ClickProtocol
) -> dict[str, NDArray[np.bool_]]:
    """(B, H, W) masks for the box and for the first click."""
    first = replace(protocol, clicks=(1,), clicks_after_box=0)
    return {prompted.prompt: prompted.masks for prompted in prompt_instances(teacher, instances, first)}


def _empty_score(instance: Instance) -> Score:
    measures: dict[str, dict[str, float]] = {"iou": {}, "boundary_iou": {}, "agreement": {}}
    return {"annotation_id": instance.annotation_id, "area": instance.area, **measures}


def _add(score: Score, prompt: str, instance: Instance, mask: Mask) -> None:
    score["iou"][prompt] = iou(instance.mask, mask)
    score["boundary_iou"][prompt] = boundary_iou(instance.mask, mask)
