"""Start the page: ``repvit-sam demo``, or ``python app/main.py`` in a checkout."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Annotated

import gradio as gr
import typer

import repvit_sam
from repvit_sam.app.page import build_page
from repvit_sam.console import errors_as_sentences, working

_PORTS_TRIED = 20
_MAX_UPLOAD = "100mb"
_MAX_VISITS = 50  # kept in memory at once; the oldest is forgotten first


def serve(checkpoint: str = "default", device: str = "auto", host: str = "127.0.0.1", port: int = 7860) -> None:
    """Load the model and serve the page until Ctrl-C.

    Raises:
        ValueError: the host is not this machine's, or neither the port nor one of the next is free.
        CheckpointError: the checkpoint cannot be loaded.
    """
    chosen = free_port(host, port)
    if chosen != port:
        typer.echo(f"port {port} is in use; taking {chosen}", err=True)
    with working("loading the model"):
        page = build_page(repvit_sam.load(checkpoint, device), checkpoint)
    page.queue(default_concurrency_limit=1).launch(
        server_name=host,
        server_port=chosen,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=_MAX_UPLOAD,
        state_session_capacity=_MAX_VISITS,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),  # nothing from the net
        footer_links=["api"],
    )
    typer.echo(f"RepViT-SAM on http://{host}:{chosen} (Ctrl-C ends it)")
    page.block_thread()


def free_port(host: str, port: int) -> int:
    """``port``, or the next one that nothing listens on.

    Raises:
        ValueError: none is free, or ``host`` is no address of this machine.
    """
    try:
        socket.getaddrinfo(host, port, socket.AF_INET)  # Gradio serves IPv4
    except OSError as error:
        raise ValueError(f"{host!r} is no address ({error.strerror}); use 127.0.0.1 or 0.0.0.0") from None
    for candidate in range(port, min(port + _PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            if sys.platform != "win32":  # there it would let two servers share a port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise ValueError(f"{host} is no address of this machine; use 127.0.0.1 or 0.0.0.0") from None
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
    with errors_as_sentences():
        serve(checkpoint, device, host, port)


if __name__ == "__main__":
    typer.run(main)
