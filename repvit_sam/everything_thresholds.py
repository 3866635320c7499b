"""Everything mode's thresholds: light models rate their masks lower than ViT-H, so they belong to a checkpoint.

They were chosen on photographs of COCO's train2017, as the highest pair whose average recall of a hundred masks is
within a hundredth of the best; ``eval/proposals.py`` measures it (docs/evaluation.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .checkpoints import CHECKPOINTS, Checkpoint
from .errors import CheckpointError

METADATA_KEY = "everything_thresholds"  # in a checkpoint's file: "0.80 0.90"


@dataclass(frozen=True)
class EverythingThresholds:
    """Masks below one of them are dropped.

    Attributes:
        pred_iou_thresh: the model's own rating, 0..1.
        stability_score_thresh: see ``masks.stability_score``, 0..1.
    """

    pred_iou_thresh: float = 0.88  # SAM's, chosen for ViT-H
    stability_score_thresh: float = 0.95


def thresholds_of(model: Any) -> EverythingThresholds:
    """The thresholds of a model on any backend; SAM's where none are known.

    Raises:
        CheckpointError: the file's metadata hold something else.
    """
    checkpoint = getattr(getattr(model, "torch_model", model), "checkpoint", None)
    return thresholds_of_checkpoint(checkpoint) if checkpoint else EverythingThresholds()


def thresholds_of_checkpoint(checkpoint: Checkpoint) -> EverythingThresholds:
    """Those in the file's metadata, else those of a known checkpoint, else SAM's.

    Raises:
        CheckpointError: the file's metadata hold something else.
    """
    text = checkpoint.provenance.get(METADATA_KEY)
    if text is None:
        known = (entry for entry in CHECKPOINTS.values() if entry.path == checkpoint.path)
        return EverythingThresholds(*next((entry.everything_thresholds for entry in known), ()))
    try:
        pred_iou, stability = map(float, text.split())
        if not (0 <= pred_iou <= 1 and 0 <= stability <= 1):
            raise ValueError
    except ValueError:
        raise CheckpointError(
            f"{checkpoint.path}: {METADATA_KEY} must be two numbers in 0..1, such as '0.80 0.90', got {text!r}"
        ) from None
    return EverythingThresholds(pred_iou, stability)
