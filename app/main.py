"""Start the page: ``repvit-sam demo``, or ``python app/main.py`` in a checkout."""

from __future__ import annotations

import socket
from typing import Annotated

import gradio as gr
import typer

import repvit_sam
from repvit_sam.app.page import build_page

_PORTS_TRIED = 20
_MAX_UPLOAD = "100mb"


def serve(checkpoint: str = "default", device: str = "auto", host: str = "127.0.0.1", port: int = 7860) -> None:
    """Load the model and serve the page until Ctrl-C.

    Raises:
        ValueError: neither the port nor one of the next is free.
        CheckpointError: the checkpoint cannot be loaded.
    """
    chosen = free_port(host, port)
    if chosen != port:
        typer.echo(f"port {port} is in use; taking {chosen}", err=True)
    page = build_page(repvit_sam.load(checkpoint, device), checkpoint)
    typer.echo(f"RepViT-SAM on http://{host}:{chosen} (Ctrl-C ends it)")
    page.queue(default_concurrency_limit=1).launch(
        server_name=host,
        server_port=chosen,
        share=False,
        quiet=True,
        max_file_size=_MAX_UPLOAD,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),  # nothing from the net
        footer_links=["api"],
    )


def free_port(host: str, port: int) -> int:
    """``port``, or the next one that nothing listens on."""
    for candidate in range(port, min(port + _PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            return candidate
    raise ValueError(f"no free port at {host} from {port} to {port + _PORTS_TRIED - 1}; choose another with --port")


def main(
    port: Annotated[int, typer.Option(help="the next free one is taken if it is in use")] = 7860,
    host: str = "127.0.0.1",
    checkpoint: str = "default",
    device: str = "auto",
) -> None:
    """The web page."""
    serve(checkpoint, device, host, port)


if __name__ == "__main__":
    typer.run(main)
