"""The page: one ``gr.HTML`` that is the whole application, and the programming interface beside it."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from .api import add_endpoint
from .handlers import Handlers, ServerFunction
from .middleware import SecurityMiddleware

_STATIC = Path(__file__).parent / "static"
_STATIC_PATH = "/repvit-sam"  # Gradio has a /static of its own
_KEEP_UPLOADS_SECONDS = 3600  # of the programming interface; the page's own uploads never touch the disk
_ON_LOAD = f"import(new URL('.{_STATIC_PATH}/main.js', document.baseURI)).then((page) => page.start(element, server))"


def build_page(handlers: Handlers, functions: list[ServerFunction]) -> gr.Blocks:
    """The page.

    Args:
        handlers: for the programming interface.
        functions: what the page's scripts may call.
    """
    with gr.Blocks(
        title="RepViT-SAM",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(_KEEP_UPLOADS_SECONDS // 4, _KEEP_UPLOADS_SECONDS),
    ) as page:
        gr.HTML(
            html_template=(_STATIC / "page.html").read_text(encoding="utf-8"),
            js_on_load=_ON_LOAD,
            apply_default_css=False,
            server_functions=functions,
            elem_id="repvit-sam",
        )
        add_endpoint(handlers)
    return page


def static_routes() -> list[BaseRoute]:
    """Where browsers find the page's scripts and style sheets."""
    return [Mount(_STATIC_PATH, StaticFiles(directory=_STATIC))]


def middleware() -> list[Middleware]:
    """What wraps Gradio's server."""
    return [Middleware(SecurityMiddleware, no_cache_path=_STATIC_PATH)]
