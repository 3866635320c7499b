"""The page's layout and wiring. Handlers take the visitor's ``Visit`` and hand a new one back; the model is all they
share."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from repvit_sam.app.view import status, view, write_results
from repvit_sam.app.visit import Tool, Visit, clear, click, open_photo, undo
from repvit_sam.errors import RepVitSamError
from repvit_sam.model import SamModel
from repvit_sam.photo import SUFFIXES

PHOTOS = Path(__file__).parent / "photos"
EXAMPLES = [PHOTOS / name for name in ("chelsea.jpg", "coffee.jpg", "astronaut.jpg", "rocket.jpg")]
_KEEP_SECONDS = 3600  # visits, uploads and result files are forgotten after an hour

_TITLE = """# RepViT-SAM
Click an object, or choose the box and click two of its corners. Checkpoint: **{name}**, on {device}."""
_INTERIM = """
This is TinyViT-SAM, the default until a RepViT-M2.3 trained here reaches 0.70 box mIoU; see the README."""
_ENDED = "This visit has ended; open the photo again."


def build_page(model: SamModel, checkpoint: str) -> gr.Blocks:
    """The whole page, with the first example encoded."""
    first = open_photo(model, EXAMPLES[0])
    with gr.Blocks(
        title="RepViT-SAM", analytics_enabled=False, delete_cache=(_KEEP_SECONDS // 4, _KEEP_SECONDS)
    ) as page:
        # no visit as the initial value: Gradio would bring it back when a visitor's own is forgotten
        visit = gr.State(None, time_to_live=_KEEP_SECONDS)
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
        # one queue for all that touches a visit, every click counted: none overtakes or swallows another
        in_order: dict[str, Any] = {"concurrency_id": "model", "trigger_mode": "multiple"}
        page.load(lambda: first, None, visit, **in_order)
        upload.upload(handlers.open, [visit, upload], shown, **in_order)
        examples.select(handlers.open_example, visit, shown, **in_order)
        canvas.select(handlers.click, [visit, tool], shown, show_progress="hidden", **in_order)
        undo_button.click(handlers.undo, visit, shown, show_progress="hidden", **in_order)
        clear_button.click(handlers.clear, visit, shown, show_progress="hidden", **in_order)
        take_button.click(handlers.take, visit, files, concurrency_id="model")
    return page


class _Handlers:
    """Visit in, what the page shows out."""

    def __init__(self, model: SamModel) -> None:
        self._model = model
        self._results = tempfile.TemporaryDirectory(prefix="repvit-sam-")  # removed when the server ends

    def open(self, visit: Visit | None, upload: str) -> tuple[Any, ...]:
        try:
            return _show(open_photo(self._model, upload))
        except RepVitSamError as error:
            # the file's name without the server's path to it; gr.Error would block the picture
            gr.Warning(str(error).replace(upload, Path(upload).name))
            return _show(visit)

    def open_example(self, visit: Visit | None, event: gr.SelectData) -> tuple[Any, ...]:
        return self.open(visit, str(EXAMPLES[int(event.index)]))

    def click(self, visit: Visit | None, tool: str, event: gr.SelectData) -> tuple[Any, ...]:
        def clicked(visit: Visit) -> Visit:
            x, y = visit.view_fit.coords_to_photo(event.index)
            return click(self._model, visit, Tool(tool), float(x), float(y))

        return _changed(visit, clicked)

    def undo(self, visit: Visit | None) -> tuple[Any, ...]:
        return _changed(visit, lambda visit: undo(self._model, visit))

    def clear(self, visit: Visit | None) -> tuple[Any, ...]:
        return _changed(visit, clear)

    def take(self, visit: Visit | None) -> list[str]:
        if visit is None or visit.mask is None:
            gr.Info(_ENDED if visit is None else "There is no mask yet: click the object first.")
            return []
        self._forget_old_results()
        return write_results(visit, Path(tempfile.mkdtemp(dir=self._results.name)))

    def _forget_old_results(self) -> None:
        for folder in Path(self._results.name).iterdir():
            if time.time() - folder.stat().st_mtime > _KEEP_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _changed(visit: Visit | None, change: Callable[[Visit], Visit]) -> tuple[Any, ...]:
    if visit is None:
        gr.Warning(_ENDED)
        return _show(None)
    return _show(change(visit))


def _show(visit: Visit | None) -> tuple[Any, ...]:
    if visit is None:  # leave the picture as it is
        return None, gr.skip(), _ENDED, None
    return visit, view(visit), status(visit), None


def _heading(model: SamModel, checkpoint: str) -> str:
    name = Path(checkpoint).name  # visitors need not know the server's folders
    interim = _INTERIM if checkpoint in ("default", "tinyvit_sam") and model.variant == "vit_t" else ""
    return _TITLE.format(name=name, device=model.device) + interim
