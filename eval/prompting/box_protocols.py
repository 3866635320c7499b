"""How a mask comes of a box: the choices in which published tables differ, and their presets by name.

One MobileSAM stands in tables as 38.7, 39.4, 41.0, 42.7 and 44.3 COCO AP: detector, choice of the mask and score rule
decide as much as the model does. Figures of different protocols are not comparable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask, mask_box_xyxy
from repvit_sam.predictor import SamPredictor

from ..datasets.boxes import Boxes

MaskChoice = Literal["single", "best-predicted", "best-box"]
Score = Literal["detector", "predicted-iou", "product"]

_BOXES_AT_ONCE = 64  # three masks each at photo size: 64 boxes of a 12 megapixel photo are 2.3 GB


@dataclass(frozen=True)
class BoxProtocol:
    """Attributes:
    masks: "single": the decoder's single mask. "best-predicted": of its three the one of best predicted IoU.
        "best-box": of the three the one whose tight box has the best IoU with the prompt.
    refinements: further passes with the box and the logits of the mask before, each giving the single mask.
    score: by which a mask is ranked: the detector's score, the predicted IoU, or their product.
    source: whose protocol it is, and how that is known.
    """

    name: str
    masks: MaskChoice = "single"
    refinements: int = 0
    score: Score = "detector"
    source: str = ""

    @property
    def choices(self) -> dict[str, Any]:
        """All that decides a mask, by name."""
        return {"masks": self.masks, "refinements": self.refinements, "score": self.score}

    def __post_init__(self) -> None:
        for option, value, known in (("masks", self.masks, MaskChoice), ("score", self.score, Score)):
            if value not in get_args(known):
                raise ValueError(f"--{option} must be one of {', '.join(get_args(known))}, got {value!r}")
        if self.refinements < 0:
            raise ValueError(f"--refinements must be 0 or more, got {self.refinements}")


BOX_PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        BoxProtocol(
            "repvit-sam",
            source="RepViT-SAM's table; inferred, as its SAM rows equal those of Prompt-Segment-Anything with a "
            "Swin-L H-Deformable-DETR (box AP 58.0) and a single mask",
        ),
        BoxProtocol("sam", refinements=1, source="SAM, appendix: ViTDet-H boxes, the mask goes in once more"),
        BoxProtocol(
            "efficientvit",
            masks="best-predicted",
            source="EfficientViT-SAM, eval_efficientvit_sam_model.py: ViTDet boxes, best of three",
        ),
        BoxProtocol(
            "tinysam",
            masks="best-predicted",
            source="TinySAM, eval/: ViTDet boxes, the default call; its starred rows are --masks single",
        ),
        BoxProtocol("edgesam", source="EdgeSAM's README: ViTDet-H boxes, a single mask, no refinement"),
        BoxProtocol(
            "efficientsam",
            masks="best-box",
            source="EfficientSAM's authors in their tracker; code unreleased, so this reading is ours",
        ),
    )
}


def find_protocol(name: str, **choices: Any) -> BoxProtocol:
    """A preset, with single choices replaced by those that are not None.

    Raises:
        ValueError: no preset of this name, or a choice that is none.
    """
    if name not in BOX_PROTOCOLS:
        raise ValueError(f"--protocol must be one of {', '.join(BOX_PROTOCOLS)}, got {name!r}")
    preset = BOX_PROTOCOLS[name]
    changed = {key: value for key, value in choices.items() if value is not None and value != getattr(preset, key)}
    return replace(preset, name=f"{name}, changed", **changed) if changed else preset


def masks_of_boxes(predictor: SamPredictor, boxes: Boxes, protocol: BoxProtocol) -> Iterator[tuple[int, Mask, float]]:
    """Index of the box, its mask and the score of the mask, on the photo that is set."""
    for start in range(0, len(boxes), _BOXES_AT_ONCE):
        chosen = slice(start, start + _BOXES_AT_ONCE)
        masks, ious = _answer(predictor, boxes.boxes_xyxy[chosen], protocol)
        for offset, (mask, iou) in enumerate(zip(masks, ious, strict=True)):
            index = start + offset
            yield index, cast(Mask, mask), _score(float(boxes.scores[index]), float(iou), protocol.score)


def _answer(
    predictor: SamPredictor, boxes_xyxy: NDArray[np.float64], protocol: BoxProtocol
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    several = protocol.masks != "single"
    masks, ious, logits = predictor.predict(box=boxes_xyxy, multimask_output=several, batched=True)
    if protocol.masks == "best-box":
        best = np.array([_fits_best(three, box) for three, box in zip(masks, boxes_xyxy, strict=True)])
    else:
        best = ious.argmax(1)
    for _ in range(protocol.refinements):
        before = logits[np.arange(len(best)), best][:, None]
        masks, ious, logits = predictor.predict(box=boxes_xyxy, mask_input=before, multimask_output=False, batched=True)
        best = np.zeros(len(boxes_xyxy), dtype=int)
    everyone = np.arange(len(best))
    return masks[everyone, best], ious[everyone, best]


def _fits_best(masks: NDArray[np.bool_], box_xyxy: NDArray[np.float64]) -> int:
    return int(np.argmax([_box_iou(mask, box_xyxy) if mask.any() else -1.0 for mask in masks]))


def _box_iou(mask: Mask, box_xyxy: NDArray[np.float64]) -> float:
    x0, y0, x1, y1 = mask_box_xyxy(mask)
    tight = np.array([x0, y0, x1 + 1, y1 + 1], dtype=np.float64)
    overlap = np.clip(np.minimum(tight[2:], box_xyxy[2:]) - np.maximum(tight[:2], box_xyxy[:2]), 0, None).prod()
    return float(overlap / ((tight[2:] - tight[:2]).prod() + (box_xyxy[2:] - box_xyxy[:2]).prod() - overlap))


def _score(detector: float, predicted_iou: float, rule: Score) -> float:
    if rule == "product":
        return detector * predicted_iou
    return predicted_iou if rule == "predicted-iou" else detector
