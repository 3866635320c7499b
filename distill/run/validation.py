"""During training: mIoU with box and point prompts, against true masks and against the teacher's masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from repvit_sam.eval.datasets.coco import CocoFolder, LabelledPhoto
from repvit_sam.eval.metrics.iou import iou
from repvit_sam.eval.prompting.ground_truth import box_of, centre_of
from repvit_sam.masks import Mask
from repvit_sam.modeling.sam import SamModel
from repvit_sam.photo import Photo
from repvit_sam.predictor import SamPredictor
from repvit_sam.visualize import overlay

from ..data.masks import PackedMasks

PICTURES = 8  # photos whose masks are shown, always the same
_MASKS_A_PICTURE = 12

PromptedMasks = dict[str, list[Mask]]  # by prompt, "box" and "point": a mask for every instance


@dataclass
class MaskValidation:
    """A fixed set of prompts on fixed photos. The teacher's masks are made once, and kept as packed bits.

    Raises:
        ValueError: the folder is not in COCO format, or has no instance that is large enough.
    """

    folder: Path
    photos: int | None
    min_area: float
    _teacher: list[dict[str, PackedMasks]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._coco = CocoFolder(self.folder, min_area=self.min_area, limit=self.photos)

    def keep_teacher(self, teacher: SamModel) -> dict[str, float]:
        """Keep the teacher's masks, and score them against the truth."""
        predictor = SamPredictor(teacher)
        ious: dict[str, list[float]] = {"box": [], "point": []}
        for labelled in self._labelled():
            predicted = predict_prompts(predictor, labelled)
            self._teacher.append({prompt: PackedMasks.of(np.stack(masks)) for prompt, masks in predicted.items()})
            _add_ious(ious, _truth(labelled), predicted)
        if not self._teacher:
            raise ValueError(f"{self.folder} has no instance of {self.min_area:g} pixels or more to validate on")
        return _means(ious)

    def score(self, student: SamModel) -> tuple[dict[str, float], list[Photo]]:
        """box, point, agreement_box, agreement_point; and pictures, the student's masks left, the teacher's right."""
        predictor = SamPredictor(student)
        true_ious: dict[str, list[float]] = {"box": [], "point": []}
        agreements: dict[str, list[float]] = {"box": [], "point": []}
        pictures: list[Photo] = []
        for labelled, taught in zip(self._labelled(), self._teacher, strict=True):
            predicted = predict_prompts(predictor, labelled)
            theirs = {prompt: list(packed.unpacked()) for prompt, packed in taught.items()}
            _add_ious(true_ious, _truth(labelled), predicted)
            _add_ious(agreements, theirs, predicted)
            if len(pictures) < PICTURES:
                pair = [overlay(labelled.photo, masks["box"][:_MASKS_A_PICTURE]) for masks in (predicted, theirs)]
                pictures.append(np.concatenate(pair, axis=1))
        agreed = {f"agreement_{prompt}": mean for prompt, mean in _means(agreements).items()}
        return {**_means(true_ious), **agreed}, pictures

    def _labelled(self) -> Iterator[LabelledPhoto]:
        every = (self._coco[index] for index in range(len(self._coco)))
        return (labelled for labelled in every if labelled.instances)


def predict_prompts(predictor: SamPredictor, labelled: LabelledPhoto) -> PromptedMasks:
    """The masks for every instance's box, and those for every instance's centre (best predicted IoU of three)."""
    predictor.set_image(labelled.photo)
    boxes = np.array([box_of(instance.mask) for instance in labelled.instances])
    from_boxes, _, _ = predictor.predict(box=boxes, multimask_output=False, batched=True)
    points = np.array([[centre_of(instance.mask)] for instance in labelled.instances])  # (B, 1, 2)
    from_points, scores, _ = predictor.predict(points, np.ones((len(points), 1), int), batched=True)
    return {"box": list(from_boxes[:, 0]), "point": list(from_points[np.arange(len(points)), scores.argmax(1)])}


def _truth(labelled: LabelledPhoto) -> PromptedMasks:
    masks = [instance.mask for instance in labelled.instances]
    return {"box": masks, "point": masks}


def _add_ious(ious: dict[str, list[float]], expected: PromptedMasks, predicted: PromptedMasks) -> None:
    for prompt, masks in predicted.items():
        ious[prompt] += [iou(one, other) for one, other in zip(expected[prompt], masks, strict=True)]


def _means(ious: dict[str, list[float]]) -> dict[str, float]:
    return {prompt: float(np.mean(values)) for prompt, values in ious.items()}
