"""The page's layout and wiring. Handlers are closures over the model and hand the visitor's ``Visit`` in and out."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from repvit_sam.app.view import status, view, view_scale, write_results
from repvit_sam.app.visit import Tool, Visit, clear, click, open_photo, undo
from repvit_sam.errors import RepVitSamError
from repvit_sam.model import SamModel
from repvit_sam.photo import SUFFIXES

PHOTOS = Path(__file__).parent / "photos"
EXAMPLES = [PHOTOS / name for name in ("chelsea.jpg", "coffee.jpg", "astronaut.jpg", "rocket.jpg")]
_KEEP_SECONDS = 3600  # files of visitors are removed after an hour

_TITLE = """# RepViT-SAM
Click an object, or choose the box and click two of its corners. Checkpoint: **{name}**, on {device}."""
_INTERIM = """
This is TinyViT-SAM, bundled until a RepViT trained here is better; see the README."""


def build_page(model: SamModel, checkpoint: str) -> gr.Blocks:
    """The whole page, with the first example encoded."""
    first = open_photo(model, EXAMPLES[0])
    with gr.Blocks(
        title="RepViT-SAM", analytics_enabled=False, delete_cache=(_KEEP_SECONDS // 4, _KEEP_SECONDS)
    ) as page:
        visit = gr.State(first, time_to_live=_KEEP_SECONDS)
        gr.Markdown(_heading(model, checkpoint))
        with gr.Row():
            with gr.Column(scale=3):
                canvas = gr.Image(view(first), label="Click here", interactive=False, elem_id="canvas", buttons=[])
                line = gr.Markdown(status(first), elem_id="status")
            with gr.Column(scale=1):
                tool = gr.Radio([t.value for t in Tool], value=Tool.OBJECT.value, label="A click means")
                with gr.Row():
                    undo_button = gr.Button("Undo", elem_id="undo")
                    clear_button = gr.Button("Clear", elem_id="clear")
                # a plain file, so that photo.py reads it and not Gradio, which knows neither limits nor HEIC
                upload = gr.UploadButton("Open your photo", variant="primary", file_types=list(SUFFIXES))
                examples = gr.Gallery(
                    EXAMPLES, label="Or one of these", columns=4, height=130, allow_preview=False, elem_id="examples"
                )
                take_button = gr.Button("Make files", elem_id="take")
                files = gr.File(label="Take away: cut-out and mask", interactive=False, elem_id="files")

        shown = [visit, canvas, line, files]
        handlers = _Handlers(model)
        upload.upload(handlers.open, [visit, upload], shown, concurrency_id="model")
        examples.select(handlers.open_example, visit, shown, concurrency_id="model")
        canvas.select(handlers.click, [visit, tool], shown, concurrency_id="model", show_progress="hidden")
        undo_button.click(handlers.undo, visit, shown, concurrency_id="model", show_progress="hidden")
        clear_button.click(handlers.clear, visit, shown, show_progress="hidden")
        take_button.click(handlers.take, visit, files)
    return page


class _Handlers:
    """Visit in, what the page shows out."""

    def __init__(self, model: SamModel) -> None:
        self._model = model

    def open(self, visit: Visit, upload: str) -> tuple[Any, ...]:
        return _show(_or_message(lambda: open_photo(self._model, upload), visit))

    def open_example(self, visit: Visit, event: gr.SelectData) -> tuple[Any, ...]:
        return self.open(visit, str(EXAMPLES[int(event.index)]))

    def click(self, visit: Visit, tool: str, event: gr.SelectData) -> tuple[Any, ...]:
        x, y = event.index
        scale = view_scale(visit)
        return _show(_or_message(lambda: click(self._model, visit, Tool(tool), x / scale, y / scale), visit))

    def undo(self, visit: Visit) -> tuple[Any, ...]:
        return _show(undo(self._model, visit))

    def clear(self, visit: Visit) -> tuple[Any, ...]:
        return _show(clear(visit))

    def take(self, visit: Visit) -> list[str]:
        if visit.mask is None:
            gr.Info("There is no mask yet: click the object first.")
        return write_results(visit, Path(tempfile.mkdtemp(prefix="repvit-sam-")))


def _show(visit: Visit) -> tuple[Any, ...]:
    return visit, view(visit), status(visit), None


def _or_message(work: Callable[[], Visit], before: Visit) -> Visit:
    """A visitor's mistake becomes a message; the page stays as it was (gr.Error would block the picture)."""
    try:
        return work()
    except RepVitSamError as error:
        gr.Warning(re.sub(r"\S*/", "", str(error)))  # without the server's path to the upload
        return before


def _heading(model: SamModel, checkpoint: str) -> str:
    interim = _INTERIM if model.variant == "vit_t" and checkpoint == "default" else ""
    return _TITLE.format(name=checkpoint, device=model.device) + interim
