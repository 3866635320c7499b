"""``repvit-sam demo``: the web page."""

from __future__ import annotations

from typing import Annotated

import typer

from ..console import report_errors
from .options import CheckpointOption, DeviceOption, EngineOption, PrecisionOption, TextFieldOption


def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="the next free one is taken if it is in use")] = 7860,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in")] = "127.0.0.1",
    checkpoint: CheckpointOption = "default",
    device: DeviceOption = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    mcp: Annotated[bool, typer.Option("--mcp", help="an MCP tool as well (pip install 'gradio[mcp]')")] = False,
    detector: TextFieldOption = "",
) -> None:
    """The web page: open a photo, click, take the mask."""
    try:
        from repvit_sam.app.main import serve
    except ImportError as error:
        typer.echo(f"Error: the page needs its extra ({error}): pip install 'repvit-sam[app]'", err=True)
        raise typer.Exit(1) from None
    with report_errors():
        serve(checkpoint, device, host, port, mcp, engine, precision, detector=detector)
