"""IoU and boundary IoU of a simulated user's masks and of trivial ones, agreement with a teacher; and their means."""

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
from ..prompting.click_protocols import ClickProtocol, prompt_name
from ..prompting.ground_truth import box_of
from ..prompting.simulated_user import ask
from ..runner.results import Metrics as Figures
from .iou import boundary_iou, clicks_needed, iou, mean_by_size

Score = dict[str, Any]  # of one instance: annotation_id, area, and by prompt iou, boundary_iou, agreement

_WANTED = (0.85, 0.90)  # IoU of NoC
_TAUGHT = (prompt_name(0, box=True), prompt_name(1))  # what a teacher is asked
_AT_ONCE = 64  # instances side by side: three masks each of a 12 megapixel photo are 2.3 GB


def score_photo(
    predictor: SamPredictor, labelled: LabelledPhoto, protocol: ClickProtocol, teacher: SamPredictor | None = None
) -> list[Score]:
    """Every instance of one photo: IoU and boundary IoU under every prompt, and the agreement with the teacher."""
    scores: list[Score] = []
    for asked in (model for model in (predictor, teacher) if model):
        asked.set_image(labelled.photo)
    for start in range(0, len(labelled.instances), _AT_ONCE):
        instances = labelled.instances[start : start + _AT_ONCE]
        part = [_unscored(instance) for instance in instances]
        taught = _first_masks(teacher, instances, protocol) if teacher else {}
        for answer in ask(predictor, instances, protocol):
            for score, instance, mask in zip(part, instances, answer.masks, strict=True):
                _add(score, answer.prompt, instance, mask)
            for score, mask, theirs in zip(part, answer.masks, taught.get(answer.prompt, ()), strict=False):
                score["agreement"][answer.prompt] = iou(theirs, mask)
        scores += part
    return scores


def score_baselines(labelled: LabelledPhoto) -> list[Score]:
    """The same for masks that are made from the box alone."""
    scores = [_unscored(instance) for instance in labelled.instances]
    for name, make in BASELINES.items():
        for score, instance in zip(scores, labelled.instances, strict=True):
            _add(score, name, instance, make(labelled.photo, box_of(instance.mask)))
    return scores


def _first_masks(
    teacher: SamPredictor, instances: Sequence[Instance], protocol: ClickProtocol
) -> dict[str, NDArray[np.bool_]]:
    first = replace(protocol, clicks=(1,), clicks_after_box=0)
    return {answer.prompt: answer.masks for answer in ask(teacher, instances, first)}


def _unscored(instance: Instance) -> Score:
    measures: dict[str, dict[str, float]] = {"iou": {}, "boundary_iou": {}, "agreement": {}}
    return {"annotation_id": instance.annotation_id, "area": instance.area, **measures}


def _add(score: Score, prompt: str, instance: Instance, mask: Mask) -> None:
    score["iou"][prompt] = iou(instance.mask, mask)
    score["boundary_iou"][prompt] = boundary_iou(instance.mask, mask)


def merged(one: Score, other: Score) -> Score:
    """Of one instance under different prompts."""
    return {**one, **{measure: {**one[measure], **other[measure]} for measure in ("iou", "boundary_iou")}}


def summarise(scores: Sequence[Score], protocol: ClickProtocol, teacher: str | None = None) -> dict[str, Figures]:
    """Rows of the table: mean IoU by prompt, and of the clicks that were needed; columns: by size, and boundary IoU."""
    areas = [score["area"] for score in scores]

    def means(values: Iterable[float]) -> Figures:
        return mean_by_size(list(values), areas)

    rows: dict[str, Figures] = {}
    for prompt in (*protocol.prompts, *(name for name in BASELINES if name in scores[0]["iou"])):
        boundary = means(score["boundary_iou"][prompt] for score in scores)["all"]
        rows[prompt] = {**means(score["iou"][prompt] for score in scores), "boundary IoU": boundary}
    for wanted in _WANTED:
        after = [[score["iou"][prompt_name(count + 1)] for count in range(protocol.rounds)] for score in scores]
        row = means(clicks_needed(ious, wanted) for ious in after)
        rows[f"NoC@{round(100 * wanted)} (of {protocol.rounds})"] = {**row, "boundary IoU": None}
    for prompt in _TAUGHT if teacher else ():
        agreement = means(score["agreement"][prompt] for score in scores)
        rows[f"{prompt}, IoU with {teacher}"] = {**agreement, "boundary IoU": None}
    return rows
