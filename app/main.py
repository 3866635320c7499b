"""Start the page: ``repvit-sam demo``, or ``python app/main.py`` in a checkout."""

from __future__ import annotations

import errno
import socket
import sys
from functools import partial
from typing import Annotated

import typer

from repvit_sam.app.handlers import Handlers
from repvit_sam.app.labelling.handlers import LabelHandlers
from repvit_sam.app.labelling.label_store import LabelStore
from repvit_sam.app.page import build_page, launch_page
from repvit_sam.app.service import MaskService
from repvit_sam.app.store import ModelStore, PhotoStore
from repvit_sam.console import loading_model, report_errors
from repvit_sam.example_photos import EXAMPLE_PHOTOS, example_photo
from repvit_sam.memory import keep_freed_memory
from repvit_sam.text_detector import load_text_detector

_PORTS_TRIED = 20  # the one asked for, and those after it


def serve(
    checkpoint: str = "default",
    device: str = "auto",
    host: str = "127.0.0.1",
    port: int = 7860,
    mcp: bool = False,
    engine: str = "auto",
    precision: str = "auto",
    labels: LabelStore | None = None,
    detector: str = "",
) -> None:
    """Load the model and serve the page until Ctrl-C.

    Args:
        mcp: offer the programming interface as an MCP tool too; needs ``pip install 'gradio[mcp]'``.
        engine, precision: what computes, as in ``load``.
        detector: for the page's text field, as ``load_text_detector`` takes it; empty for a page without that field.
        labels: of a folder, whose photos the page then labels; None for the page of one photo.

    Raises:
        ValueError: the host is not an address of this machine, or neither the port nor one of the next 19 is free.
        CheckpointError: the checkpoint cannot be loaded.
    """
    chosen = free_port(host, port)
    if chosen != port:
        typer.echo(f"port {port} is in use; taking {chosen}", err=True)
    with loading_model():
        examples = [example_photo(name) for name in EXAMPLE_PHOTOS]
        models = ModelStore(checkpoint, device, engine, precision)
        load_detector = partial(load_text_detector, detector, device) if detector else None
        service = MaskService(models, PhotoStore(examples), load_detector)
        service.warm_up()
    handlers = Handlers(service, labels.folder.path.name if labels else None)
    functions = LabelHandlers(handlers, labels).functions() if labels else handlers.functions()
    page = build_page(handlers, functions)
    launch_page(page, host, chosen, mcp)
    subject = f"labels {labels.path}" if labels else "RepViT-SAM"
    typer.echo(f"{subject} on http://{host}:{chosen} (Ctrl-C ends it)")
    page.block_thread()


def free_port(host: str, port: int) -> int:
    """``port``, or the next one that nothing listens on.

    Raises:
        ValueError: neither ``port`` nor one of the next 19 is free, or ``host`` is not an address of this machine.
    """
    try:
        socket.getaddrinfo(host, port, socket.AF_INET)  # Gradio serves IPv4
    except OSError as error:
        raise ValueError(f"{host!r} is not an address ({error.strerror}); use 127.0.0.1 or 0.0.0.0") from None
    for candidate in range(port, min(port + _PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            if sys.platform != "win32":  # there it would let two servers share a port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise ValueError(f"{host} is not an address of this machine; use 127.0.0.1 or 0.0.0.0") from None
                continue
            return candidate
    raise ValueError(f"no port is free at {host} from {port} to {port + _PORTS_TRIED - 1}; choose another with --port")


def main(
    port: Annotated[
        int, typer.Option(envvar="GRADIO_SERVER_PORT", help="where this port is in use, the next free one is taken")
    ] = 7860,
    host: Annotated[
        str, typer.Option(envvar="GRADIO_SERVER_NAME", help="address to listen on; 0.0.0.0 lets other machines in")
    ] = "127.0.0.1",
    checkpoint: Annotated[str, typer.Option(help="name or path")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, torch or openvino")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or int8")] = "auto",
    mcp: Annotated[bool, typer.Option("--mcp", help="offer the programming interface as an MCP tool too")] = False,
    detector: Annotated[str, typer.Option(help="of the text field: a name or a folder; without it, no field")] = "",
) -> None:
    """Serve the web page."""
    with report_errors():
        serve(checkpoint, device, host, port, mcp, engine, precision, detector=detector)


if __name__ == "__main__":
    keep_freed_memory()
    typer.run(main)
