"""Results and errors -> the JSON that the page gets.

``bbox`` is COCO's everywhere: x, y, width, height, the last pixel counted.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from repvit_sam import RepVitSamError
from repvit_sam.detections import DetectedMasks
from repvit_sam.masks import Mask, coco_bbox
from repvit_sam.rle import decode_rle, encode_rle

from .data_urls import logits_to_view, mask_to_view, mask_url
from .downloads import Download
from .scheduler import BusyError, CancelledError
from .schemas import RequestError
from .service import Decoded, OpenedPhoto
from .store import PhotoExpiredError

Json = dict[str, Any]
Handlers = TypeVar("Handlers")

_log = logging.getLogger(__name__)


def json_response(handler: Callable[[Handlers, Any], Awaitable[Json]]) -> Callable[[Handlers, Any], Awaitable[Json]]:
    """Make errors part of the JSON: Gradio would answer with a status of 500 and no message."""

    @wraps(handler)
    async def respond(self: Handlers, data: Any) -> Json:
        try:
            return await handler(self, data)
        except PhotoExpiredError as error:
            return _error_json("gone", error)
        except BusyError as error:
            return _error_json("busy", error)
        except (CancelledError, asyncio.CancelledError):  # the second: a preview that a newer one replaced
            return {"cancelled": True}
        except (RequestError, RepVitSamError) as error:
            return _error_json(getattr(error, "kind", "bad"), error)
        except Exception:
            _log.exception("a request of the page failed")
            return _error_json("bad", "something went wrong on the server; see its log")

    return respond


def opened_json(opened: OpenedPhoto) -> Json:
    """An opened photo and its picture for the screen."""
    height, width = opened.stored.photo_hw
    return {
        "photo": opened.stored.token,
        "name": opened.stored.name,
        "width": width,
        "height": height,
        "view": opened.view,
        "encode_ms": opened.encode_ms,
        "checkpoint": opened.checkpoint,
    }


def candidates_json(decoded: Decoded) -> Json:
    """The three candidates at the size of the page's view. Areas are of the photo, estimated from the view."""
    candidates = decoded.candidates
    height, width = decoded.fit.photo_hw
    masks = list(logits_to_view(candidates.low_res_logits, decoded.fit))
    if candidates.look:
        masks[candidates.best] = mask_to_view(candidates.picked(None, decoded.fit)[0])
    shares = [float(mask.mean()) for mask in masks]
    return {
        "candidates": [
            {"mask": mask_url(mask), "iou": iou, "area": round(share * height * width), "share": share}
            for mask, iou, share in zip(masks, candidates.iou_predictions, shares, strict=True)
        ],
        "best": candidates.best,
        "refined": candidates.look is not None,
        "decode_ms": decoded.decode_ms,
    }


def preview_json(decoded: Decoded) -> Json:
    """The best candidate alone."""
    best = decoded.candidates.best
    (mask,) = logits_to_view(decoded.candidates.low_res_logits[best : best + 1], decoded.fit)
    return {"mask": mask_url(mask), "iou": decoded.candidates.iou_predictions[best], "decode_ms": decoded.decode_ms}


def mask_json(mask: Mask, iou: float | None) -> Json:
    """A mask at the size of the photo. ``iou``: the model's own rating; None where a person made the mask."""
    return {
        "rle": encode_rle(mask),
        "bbox": coco_bbox(mask),
        "area": int(mask.sum()),
        "mask": mask_url(mask_to_view(mask)),
        "iou": iou,
    }


def record_json(record: dict[str, Any]) -> Json:
    """A record of ``SamAutomaticMaskGenerator`` with RLE masks. Its own bbox is segment_anything's, a pixel short."""
    mask = decode_rle(record["segmentation"])
    return {
        "rle": record["segmentation"],
        "bbox": coco_bbox(mask),
        "area": record["area"],
        "mask": mask_url(mask_to_view(mask)),
        "iou": record["predicted_iou"],
        "stability": record["stability_score"],
        "point": record["point_coords"][0],
    }


def detected_json(found: DetectedMasks) -> list[Json]:
    """Masks with the names that a text gave them, and the detector's scores."""
    return [
        {**mask_json(mask, float(iou)), "name": label, "score": float(score)}
        for mask, label, score, iou in zip(found.masks, found.labels, found.scores, found.iou_predictions, strict=True)
        if mask.any()
    ]


def download_json(download: Download) -> Json:
    """A file, its bytes in base64."""
    return {
        "name": download.name,
        "mime": download.mime,
        "data": base64.b64encode(download.data).decode("ascii"),
    }


def _error_json(kind: str, message: object) -> Json:
    """``kind``: "gone", "busy", "bad", or an error's own; the page decides by it what to do."""
    return {"error": {"kind": kind, "message": str(message)}}
