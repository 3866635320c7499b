"""Start the page: ``repvit-sam demo``, or ``python app/main.py`` in a checkout."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Annotated

import gradio as gr
import typer

from repvit_sam.app.handlers import MAX_UPLOAD, Desk
from repvit_sam.app.page import EXAMPLES, build_page, guards, static_routes
from repvit_sam.console import report_errors, spinner

_PORTS_TRIED = 20


def serve(
    checkpoint: str = "default", device: str = "auto", host: str = "127.0.0.1", port: int = 7860, mcp: bool = False
) -> None:
    """Load the model and serve the page until Ctrl-C.

    Args:
        mcp: offer the programming interface as an MCP tool too; needs ``pip install 'gradio[mcp]'``.

    Raises:
        ValueError: the host is not this machine's, or neither the port nor one of the next is free.
        CheckpointError: the checkpoint cannot be loaded.
    """
    chosen = free_port(host, port)
    if chosen != port:
        typer.echo(f"port {port} is in use; taking {chosen}", err=True)
    with spinner("loading the model"):
        page = build_page(Desk(checkpoint, device, EXAMPLES))
    page.queue(default_concurrency_limit=1).launch(
        server_name=host,
        server_port=chosen,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=MAX_UPLOAD,
        mcp_server=mcp,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),  # nothing from the net
        footer_links=["api"],
        app_kwargs={"routes": static_routes(), "middleware": guards()},
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
    port: Annotated[
        int, typer.Option(envvar="GRADIO_SERVER_PORT", help="the next free one is taken if it is in use")
    ] = 7860,
    host: Annotated[
        str, typer.Option(envvar="GRADIO_SERVER_NAME", help="0.0.0.0 lets other machines in")
    ] = "127.0.0.1",
    checkpoint: str = "default",
    device: str = "auto",
    mcp: Annotated[bool, typer.Option("--mcp", help="an MCP tool as well")] = False,
) -> None:
    """The web page."""
    with report_errors():
        serve(checkpoint, device, host, port, mcp)


if __name__ == "__main__":
    typer.run(main)
