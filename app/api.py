"""The page's programming interface: one named endpoint for ``gradio_client``, and for MCP where that is switched on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from repvit_sam.errors import RepVitSamError
from repvit_sam.masks import coco_bbox
from repvit_sam.rle import encode_rle

from . import schemas as messages
from .handlers import MAX_UPLOAD, Desk
from .scheduler import BusyError, Kind, Work
from .schemas import MessageError


def add_endpoint(desk: Desk) -> None:
    """Inside a ``gr.Blocks``: hidden components and the endpoint ``/segment`` on them."""
    with gr.Row(visible=False):
        photo = gr.File(label="photo", type="filepath")
        points = gr.JSON(label="points", value=[])
        box = gr.JSON(label="box")
        checkpoint = gr.Textbox(label="checkpoint", value=desk.models.first)
        answer = gr.JSON(label="answer")
        gr.Button("segment").click(
            segment_function(desk),
            [photo, points, box, checkpoint],
            answer,
            api_name="segment",
            concurrency_limit=4,  # the model has its own line
        )


def segment_function(desk: Desk) -> Callable[..., dict[str, Any]]:
    """The endpoint's function; Gradio shows its docstring on the API page and to MCP clients."""

    def segment(photo: str, points: Any = None, box: Any = None, checkpoint: str = "") -> dict[str, Any]:
        """Cut an object out of a photo: the mask for points and a box.

        Args:
            photo: the photo, a file.
            points: list of [x, y, label] in photo pixels; label 1 is on the object, 0 on the background.
            box: [x0, y0, x1, y1] around the object in photo pixels, or null.
            checkpoint: name of an installed checkpoint; empty takes the server's.

        Returns:
            size [height, width], segmentation (COCO's compressed RLE), bbox [x, y, width, height], area in pixels, and
            predicted_iou, the model's own rating of the mask.
        """
        name = checkpoint or desk.models.first
        try:
            step = messages.read(messages.Step, {"points": _parsed(points) or [], "box": _parsed(box)})
            if not step.has_object:
                raise MessageError("give a point with label 1, or a box")
            path = Path(photo or "")
            if not photo or path.stat().st_size > MAX_UPLOAD:
                raise MessageError(f"send one photo of at most {MAX_UPLOAD:,} bytes")

            def compute(work: Work[Any]) -> Any:
                return desk.mask_of_file(path, name, (step,))

            mask, iou = desk.turns.ask("programs", Kind.CLICK, compute).future.result()
        except (MessageError, RepVitSamError, BusyError) as error:
            raise gr.Error(str(error), print_exception=False) from None
        return {
            "size": list(mask.shape),
            "segmentation": encode_rle(mask),
            "bbox": coco_bbox(mask),
            "area": int(mask.sum()),
            "predicted_iou": iou,
        }

    return segment


def _parsed(value: Any) -> Any:
    """Clients send JSON as values, or as text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else None
    except ValueError:
        raise MessageError("points and box must be JSON, such as [[300, 200, 1]] and [170, 12, 425, 282]") from None
