"""Protocols for box prompts: the choices in which published evaluations differ, and presets by name.

MobileSAM alone is listed in tables with 38.7, 39.4, 41.0, 42.7 and 44.3 COCO AP: detector, choice of the mask and score
matter as much as the model. Results of different protocols are not comparable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from repvit_sam.masks import Mask
from repvit_sam.predictor import SamPredictor

from ..datasets.boxes import Boxes
from .ground_truth import box_of

MaskChoice = Literal["single", "best-predicted", "best-box"]
ScoreRule = Literal["detector", "predicted-iou", "product"]

_BATCH_SIZE = 64  # boxes; with three masks each at photo size, 64 boxes on 12 megapixels take 2.3 GB


@dataclass(frozen=True)
class BoxProtocol:
    """How a box becomes a mask with a score.

    Attributes:
        masks: "single": the decoder's single mask. "best-predicted": of its three masks, the one with the best
            predicted IoU. "best-box": of the three, the one whose tight box has the best IoU with the prompt.
        refinements: number of further passes with the box and the previous mask's logits, each for a single mask.
        refine: a second look at each object (``SamPredictor.predict``), in the last pass.
        score: the score of a mask: the detector's, the predicted IoU, or their product.
        source: who uses the protocol, and how that is known.
    """

    name: str
    masks: MaskChoice = "single"
    refinements: int = 0
    refine: bool = False
    score: ScoreRule = "detector"
    source: str = ""

    @property
    def choices(self) -> dict[str, Any]:
        """The options that decide masks and scores, by name."""
        return {"masks": self.masks, "refinements": self.refinements, "refine": self.refine, "score": self.score}

    def __post_init__(self) -> None:
        for option, value, known in (("masks", self.masks, MaskChoice), ("score", self.score, ScoreRule)):
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
    """A preset, with those options replaced that are given and not None.

    Raises:
        ValueError: unknown name, or a value that an option does not have.
    """
    if name not in BOX_PROTOCOLS:
        raise ValueError(f"--protocol must be one of {', '.join(BOX_PROTOCOLS)}, got {name!r}")
    preset = BOX_PROTOCOLS[name]
    changed = {key: value for key, value in choices.items() if value is not None and value != getattr(preset, key)}
    return replace(preset, name=f"{name}, changed", **changed) if changed else preset


def masks_of_boxes(predictor: SamPredictor, boxes: Boxes, protocol: BoxProtocol) -> Iterator[tuple[int, Mask, float]]:
    """For each box its index, mask and score, on the photo that is set."""
    for start in range(0, len(boxes), _BATCH_SIZE):
        masks, ious = _predict(predictor, boxes.boxes_xyxy[start : start + _BATCH_SIZE], protocol)
        for offset, (mask, iou) in enumerate(zip(masks, ious, strict=True)):
            index = start + offset
            yield index, cast(Mask, mask), _score(float(boxes.scores[index]), float(iou), protocol.score)


def _predict(
    predictor: SamPredictor, boxes_xyxy: NDArray[np.float64], protocol: BoxProtocol
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """(B, H, W) masks of (B, 4) boxes, and their predicted IoUs (B,)."""
    rows = np.arange(len(boxes_xyxy))
    several = protocol.masks != "single"
    masks, ious, logits = predictor.predict(
        box=boxes_xyxy, multimask_output=several, batched=True, refine=protocol.refine and not protocol.refinements
    )
    if protocol.masks == "best-box":
        best = np.array([_best_fitting(three, box) for three, box in zip(masks, boxes_xyxy, strict=True)])
    else:
        best = ious.argmax(1)
    for number in range(1, protocol.refinements + 1):
        previous = logits[rows, best][:, None]
        masks, ious, logits = predictor.predict(
            box=boxes_xyxy,
            mask_input=previous,
            multimask_output=False,
            batched=True,
            refine=protocol.refine and number == protocol.refinements,
        )
        best = np.zeros_like(rows)
    return masks[rows, best], ious[rows, best]


def _best_fitting(masks: NDArray[np.bool_], box_xyxy: NDArray[np.float64]) -> int:
    return int(np.argmax([_box_iou(mask, box_xyxy) if mask.any() else -1.0 for mask in masks]))


def _box_iou(mask: Mask, box_xyxy: NDArray[np.float64]) -> float:
    # not torchvision's box_iou: predicting over ONNX needs no torch. Not pycocotools': it takes widths, which round.
    tight = np.array(box_of(mask))
    overlap = np.clip(np.minimum(tight[2:], box_xyxy[2:]) - np.maximum(tight[:2], box_xyxy[:2]), 0, None).prod()
    return float(overlap / ((tight[2:] - tight[:2]).prod() + (box_xyxy[2:] - box_xyxy[:2]).prod() - overlap))


def _score(detector: float, predicted_iou: float, rule: ScoreRule) -> float:
    if rule == "product":
        return detector * predicted_iou
    return predicted_iou if rule == "predicted-iou" else detector
