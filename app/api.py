"""The page's programming interface: one endpoint for ``gradio_client``, and for MCP where that is switched on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from repvit_sam import RepVitSamError
from repvit_sam.foreign_json import ForeignJsonError, parse_foreign_json
from repvit_sam.masks import Mask, coco_bbox
from repvit_sam.rle import encode_rle

from .handlers import Handlers
from .limits import MAX_UPLOAD
from .scheduler import BusyError, Job, Priority
from .schemas import PromptSet, RequestError, parse

_MAX_PROMPT_BYTES = 1 << 20  # 64 points have a few thousand


def add_endpoint(handlers: Handlers) -> None:
    """Inside a ``gr.Blocks``: hidden components, and the endpoint ``/segment`` on them."""
    with gr.Row(visible=False):
        photo = gr.File(label="photo", type="filepath")
        points = gr.JSON(label="points", value=[])
        box = gr.JSON(label="box")
        checkpoint = gr.Textbox(label="checkpoint", value=handlers.service.models.first)
        refine = gr.Checkbox(label="refine")
        answer = gr.JSON(label="answer")
        gr.Button("segment").click(
            segment_function(handlers),
            [photo, points, box, checkpoint, refine],
            answer,
            api_name="segment",
            concurrency_limit=4,  # more than one may wait: the scheduler queues them
        )


def segment_function(handlers: Handlers) -> Callable[..., dict[str, Any]]:
    """The endpoint's function; Gradio shows its docstring on the API page and to MCP clients."""

    def segment(
        photo: str, points: Any = None, box: Any = None, checkpoint: str = "", refine: bool = False
    ) -> dict[str, Any]:
        """Cut an object out of a photo: the mask for points and a box.

        Args:
            photo: the photo, a file.
            points: list of [x, y, label] in photo pixels; label 1 is on the object, 0 on the background.
            box: [x0, y0, x1, y1] around the object in photo pixels, or null.
            checkpoint: name of an installed checkpoint; empty takes the server's.
            refine: look at the object a second time, enlarged: a better mask of a small object, in twice the time.

        Returns:
            size [height, width], segmentation (COCO's compressed RLE), bbox [x, y, width, height], area in pixels, and
            predicted_iou, the model's own rating of the mask.
        """
        try:
            prompts = {"points": _parsed(points) or [], "box": _parsed(box), "refine": bool(refine)}
            mask, iou = _mask(handlers, photo, prompts, checkpoint)
        except (RequestError, RepVitSamError, BusyError) as error:
            raise gr.Error(str(error), print_exception=False) from None
        return {
            "size": list(mask.shape),
            "segmentation": encode_rle(mask),
            "bbox": coco_bbox(mask),
            "area": int(mask.sum()),
            "predicted_iou": iou,
        }

    return segment


def _mask(handlers: Handlers, photo: str, prompts: dict[str, Any], checkpoint: str) -> tuple[Mask, float]:
    service = handlers.service
    prompt_set = parse(PromptSet, prompts)
    if not prompt_set.has_object:
        raise RequestError("give a point with label 1, or a box")
    path = Path(photo or "")
    if not photo or path.stat().st_size > MAX_UPLOAD:
        raise RequestError(f"send one photo of at most {MAX_UPLOAD:,} bytes")

    def compute(job: Job[tuple[Mask, float]]) -> tuple[Mask, float]:
        return service.mask_of_file(path, checkpoint or service.models.first, prompt_set)

    return handlers.scheduler.submit("api", Priority.CLICK, compute).future.result()


def _parsed(value: Any) -> Any:
    """Clients send JSON as values, or as text."""
    if not isinstance(value, str):
        return value
    try:
        return parse_foreign_json(value, _MAX_PROMPT_BYTES) if value.strip() else None
    except ForeignJsonError:
        raise RequestError("points and box must be JSON, such as [[300, 200, 1]] and [170, 12, 425, 282]") from None
