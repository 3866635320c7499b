"""The page: one ``gr.HTML`` that is the whole application, and the programming interface beside it."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from repvit_sam.example_photos import EXAMPLE_PHOTOS, example_photo

from .api import add_endpoint
from .handlers import Desk
from .middleware import Guard

EXAMPLES = [example_photo(name) for name in EXAMPLE_PHOTOS]

_STATIC = Path(__file__).parent / "static"
_STATIC_PATH = "/repvit-sam"  # Gradio has a /static of its own
_UPLOADS_KEPT = 3600  # seconds; of the programming interface, the page's own never touch the disk
_START = f"import(new URL('.{_STATIC_PATH}/main.js', document.baseURI)).then((page) => page.start(element, server))"


def build_page(desk: Desk) -> gr.Blocks:
    """The page around a desk."""
    with gr.Blocks(
        title="RepViT-SAM", analytics_enabled=False, fill_width=True, delete_cache=(_UPLOADS_KEPT // 4, _UPLOADS_KEPT)
    ) as page:
        gr.HTML(
            html_template=(_STATIC / "page.html").read_text(encoding="utf-8"),
            js_on_load=_START,
            apply_default_css=False,
            server_functions=desk.functions(),
            elem_id="repvit-sam",
        )
        add_endpoint(desk)
    return page


def static_routes() -> list[BaseRoute]:
    """Where browsers find the page's scripts and style."""
    return [Mount(_STATIC_PATH, StaticFiles(directory=_STATIC))]


def guards() -> list[Middleware]:
    return [Middleware(Guard, always_fresh=_STATIC_PATH)]
