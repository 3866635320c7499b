"""The boxes that a detector found in a photo, with labels and scores; and the masks made for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import PromptError
from .photo import Photo

MAX_BOXES = 100  # a photo; COCO's own limit, and what a detector's results seldom exceed


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one photo, highest score first.

    Attributes:
        boxes_xyxy: (N, 4) photo pixels, continuous.
        labels: N names.
        scores: (N,) the detector's, 0..1.
        category_ids: (N,) whole numbers, one a label: those of the file, or 1, 2, ... in the order of the text.

    Raises:
        PromptError: not N of each, or boxes of another shape.

    Example:
        >>> import numpy as np, repvit_sam
        >>> cup = repvit_sam.Detections(np.array([[170.0, 12, 425, 282]]), ("cup",), np.array([0.9]), np.array([1]))
        >>> len(cup), cup.labels
        (1, ('cup',))
    """

    boxes_xyxy: NDArray[np.float64]
    labels: tuple[str, ...]
    scores: NDArray[np.float64]
    category_ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.labels)
        shapes = (np.shape(self.boxes_xyxy), np.shape(self.scores), np.shape(self.category_ids))
        if shapes != ((count, 4), (count,), (count,)):
            raise PromptError(
                f"{count} labels need boxes_xyxy of shape ({count}, 4), scores and category_ids of shape ({count},), "
                f"got {shapes[0]}, {shapes[1]} and {shapes[2]}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: NDArray[Any]) -> Detections:
        """Some of them, in the order of ``chosen``: indices, or (N,) bool."""
        indices = np.arange(len(self))[chosen]
        return Detections(
            self.boxes_xyxy[indices],
            tuple(self.labels[index] for index in indices),
            self.scores[indices],
            self.category_ids[indices],
        )

    def best(self, most: int) -> Detections:
        """The so many of highest score, highest first; of equal ones those that come first."""
        return self.take(np.argsort(-self.scores, kind="stable")[:most])

    def within(self, photo_hw: tuple[int, int]) -> Detections:
        """Boxes cut at the photo's edges; those of which nothing is left are dropped."""
        height, width = photo_hw
        boxes = self.boxes_xyxy.clip(0, [width, height, width, height])
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return Detections(boxes, self.labels, self.scores, self.category_ids).take(inside)


@dataclass(frozen=True, eq=False)
class DetectedMasks:
    """Masks for the boxes of a detector, highest score first (see ``SamPredictor.predict_text``).

    Attributes:
        masks: (N, H, W) bool.
        labels: N names.
        scores: (N,) the detector's.
        boxes_xyxy: (N, 4) the detector's, photo pixels.
        iou_predictions: (N,) predicted IoU of the masks.

    Example:
        >>> import numpy as np, repvit_sam
        >>> empty = np.zeros((0, 400, 600), bool)
        >>> found = repvit_sam.DetectedMasks(empty, (), np.zeros(0), np.zeros((0, 4)), np.zeros(0))
        >>> len(found)
        0
    """

    masks: NDArray[np.bool_]
    labels: tuple[str, ...]
    scores: NDArray[np.float64]
    boxes_xyxy: NDArray[np.float64]
    iou_predictions: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)


class Detector(Protocol):
    """What ``SamPredictor.predict_text`` takes: ``load_text_detector`` makes one; any other detector may be wrapped."""

    def detect(
        self,
        photo: Photo,
        text: str | Sequence[str],
        box_threshold: float | None = None,
        text_threshold: float | None = None,
    ) -> Detections:
        """Boxes in ``photo``, (H, W, 3) uint8 RGB, for the labels of ``text``; thresholds None: the detector's own."""
        ...


def xywh_to_xyxy(boxes_xywh: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """(N, 4) x, y, width, height -> (N, 4) corners, in float64."""
    boxes = np.array(boxes_xywh, dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes
