"""The page: one ``gr.HTML`` that is the whole application, and the programming interface beside it."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from .api import add_endpoint
from .handlers import Handlers, ServerFunction
from .limits import MAX_UPLOAD
from .middleware import SecurityMiddleware, WholeFormMiddleware

_STATIC = Path(__file__).parent / "static"
_STATIC_PATH = "/repvit-sam"  # Gradio has a /static of its own
_KEEP_UPLOADS_SECONDS = 3600  # of the programming interface; the page's own uploads are deleted when they are read
_SESSIONS = 200  # Gradio holds 10 KB of each, also of a name made up for one request; nothing of ours is in them
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


def launch_page(page: gr.Blocks, host: str, port: int, mcp: bool = False) -> None:
    """Serve the page in threads of their own.

    Args:
        mcp: offer the programming interface as an MCP tool too.
    """
    page.queue(default_concurrency_limit=1).launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=MAX_UPLOAD,
        enable_monitoring=False,
        state_session_capacity=_SESSIONS,
        mcp_server=mcp,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),  # none from the internet
        footer_links=["api"],
        app_kwargs={
            "routes": [Mount(_STATIC_PATH, StaticFiles(directory=_STATIC))],  # the page's scripts and style sheets
            "middleware": [
                Middleware(SecurityMiddleware, no_cache_path=_STATIC_PATH),
                Middleware(WholeFormMiddleware),
            ],
        },
    )
