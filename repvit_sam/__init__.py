"""RepViT-SAM: Segment Anything that runs where people are.

>>> import repvit_sam
>>> model = repvit_sam.load("default")
>>> predictor = repvit_sam.SamPredictor(model)
>>> predictor.set_image("photo.jpg")
>>> masks, iou_predictions, low_res_logits = predictor.predict(box=[100, 80, 500, 420], multimask_output=False)

Names are imported when first used, so that ``import repvit_sam`` (and ``repvit-sam --help``) does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .build import build_repvit_sam, sam_model_registry
    from .detections import DetectedMasks, Detections
    from .embedding import EncodedPhoto
    from .errors import (
        CheckpointError,
        ExportError,
        FetchError,
        JobError,
        PhotoError,
        PhotoNotSetError,
        PromptError,
        RepVitSamError,
    )
    from .example_photos import example_photo
    from .loading import load
    from .mask_generator import SamAutomaticMaskGenerator
    from .modeling.sam import SamModel
    from .photo import read_photo
    from .predictor import SamPredictor
    from .text_detector import load_text_detector

_HOMES = {
    "CheckpointError": ".errors",
    "DetectedMasks": ".detections",
    "Detections": ".detections",
    "EncodedPhoto": ".embedding",
    "ExportError": ".errors",
    "FetchError": ".errors",
    "JobError": ".errors",
    "PhotoError": ".errors",
    "PhotoNotSetError": ".errors",
    "PromptError": ".errors",
    "RepVitSamError": ".errors",
    "SamAutomaticMaskGenerator": ".mask_generator",
    "SamModel": ".modeling.sam",
    "SamPredictor": ".predictor",
    "build_repvit_sam": ".build",
    "example_photo": ".example_photos",
    "load": ".loading",
    "load_text_detector": ".text_detector",
    "read_photo": ".photo",
    "sam_model_registry": ".build",
}

__version__ = "0.1.0"
__all__ = [
    "CheckpointError",
    "DetectedMasks",
    "Detections",
    "EncodedPhoto",
    "ExportError",
    "FetchError",
    "JobError",
    "PhotoError",
    "PhotoNotSetError",
    "PromptError",
    "RepVitSamError",
    "SamAutomaticMaskGenerator",
    "SamModel",
    "SamPredictor",
    "build_repvit_sam",
    "example_photo",
    "load",
    "load_text_detector",
    "read_photo",
    "sam_model_registry",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value  # so that this function is called once a name
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
