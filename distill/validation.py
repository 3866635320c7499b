"""While training: mIoU of boxes and points against true masks, and of the student's masks against the teacher's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from repvit_sam.draw import overlay
from repvit_sam.eval.clicking import box_of, centre_of
from repvit_sam.eval.coco import CocoFolder, LabelledPhoto
from repvit_sam.eval.metrics import iou
from repvit_sam.masks import Mask
from repvit_sam.model import SamModel
from repvit_sam.photo import Photo
from repvit_sam.predictor import SamPredictor

PICTURES = 8  # photos whose masks are shown, always the same
_MASKS_A_PICTURE = 12


@dataclass
class Validation:
    """A fixed set of prompts on fixed photos. The teacher answers them once, and is kept as packed bits.

    Raises:
        ValueError: the folder is no COCO-format folder, or has no instance that is large enough.
    """

    folder: Path
    photos: int | None
    min_area: float
    _teacher: list[list[tuple[NDArray[np.uint8], tuple[int, ...]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._coco = CocoFolder(self.folder, min_area=self.min_area, limit=self.photos)

    def teach(self, teacher: SamModel) -> dict[str, float]:
        """Keep the teacher's masks, and score them against the truth."""
        predictor = SamPredictor(teacher)
        ious: list[float] = []
        for labelled in self._labelled():
            masks = answer_prompts(predictor, labelled)
            self._teacher.append([(np.packbits(mask), mask.shape) for mask in masks])
            truths = [instance.mask for instance in labelled.instances] * 2
            ious += [iou(truth, mask) for truth, mask in zip(truths, masks, strict=True)]
        if not ious:
            raise ValueError(f"{self.folder} has no instance of {self.min_area:g} pixels or more to validate on")
        return _means(self._counts(), ious)

    def score(self, student: SamModel) -> tuple[dict[str, float], list[Photo]]:
        """box, point, agreement_box, agreement_point; and pictures, the student's masks left, the teacher's right."""
        predictor = SamPredictor(student)
        true_ious: list[float] = []
        agreements: list[float] = []
        pictures: list[Photo] = []
        for labelled, taught in zip(self._labelled(), self._teacher, strict=True):
            masks = answer_prompts(predictor, labelled)
            theirs = [_unpacked(*packed) for packed in taught]
            truths = [instance.mask for instance in labelled.instances] * 2
            true_ious += [iou(truth, mask) for truth, mask in zip(truths, masks, strict=True)]
            agreements += [iou(their, mask) for their, mask in zip(theirs, masks, strict=True)]
            if len(pictures) < PICTURES:
                shown = slice(0, min(_MASKS_A_PICTURE, len(labelled.instances)))
                pair = [overlay(labelled.photo, masks[shown]), overlay(labelled.photo, theirs[shown])]
                pictures.append(np.concatenate(pair, axis=1))
        counts = self._counts()
        agreed = {f"agreement_{kind}": mean for kind, mean in _means(counts, agreements).items()}
        return {**_means(counts, true_ious), **agreed}, pictures

    def _labelled(self) -> Iterator[LabelledPhoto]:
        every = (self._coco[index] for index in range(len(self._coco)))
        return (labelled for labelled in every if labelled.instances)

    def _counts(self) -> list[int]:
        return [len(taught) // 2 for taught in self._teacher]


def answer_prompts(predictor: SamPredictor, labelled: LabelledPhoto) -> list[Mask]:
    """The masks for every instance's box, then those for every instance's centre (best predicted IoU of three)."""
    predictor.set_image(labelled.photo)
    boxes = np.array([box_of(instance.mask) for instance in labelled.instances])
    from_boxes, _, _ = predictor.predict(box=boxes, multimask_output=False, batched=True)
    points = np.array([[centre_of(instance.mask)] for instance in labelled.instances])  # (B, 1, 2)
    from_points, scores, _ = predictor.predict(points, np.ones((len(points), 1), int), batched=True)
    return [*from_boxes[:, 0], *from_points[np.arange(len(points)), scores.argmax(1)]]


def _means(counts: list[int], ious: list[float]) -> dict[str, float]:
    """For each photo, ``count`` IoUs of boxes and then as many of points -> the two means."""
    boxes: list[float] = []
    points: list[float] = []
    at = 0
    for count in counts:
        boxes += ious[at : at + count]
        points += ious[at + count : at + 2 * count]
        at += 2 * count
    return {"box": float(np.mean(boxes)), "point": float(np.mean(points))}


def _unpacked(bits: NDArray[np.uint8], shape: tuple[int, ...]) -> Mask:
    return np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)
