"""Serve a site that build.py wrote, with the headers that give WebAssembly its threads.

python examples/browser/serve.py build/site
"""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import typer

ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder."""

    extensions_map = {  # noqa: RUF012  (the base class has it so)
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, *args: Any, isolated: bool, **kwargs: Any) -> None:
        self._headers = ISOLATION if isolated else {}
        super().__init__(*args, **kwargs)

    def end_headers(self) -> None:
        for name, value in self._headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def make_server(site: Path, port: int = 0, isolated: bool = True) -> ThreadingHTTPServer:
    """A server that only this machine can reach; port 0 takes a free port.

    Args:
        isolated: send the headers; without them the page's service worker adds them.
    """
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, directory=str(site), isolated=isolated))


def main(
    site: Annotated[Path, typer.Argument(help="folder written by build.py")],
    port: Annotated[int, typer.Option()] = 8000,
) -> None:
    """Serve the site until Ctrl-C."""
    if not (site / "site.json").is_file():
        sys.exit(f"Error: {site / 'site.json'} does not exist; python examples/browser/build.py --out {site} writes it")
    try:
        server = make_server(site, port)
    except OSError as error:
        sys.exit(f"Error: port {port}: {error.strerror}. Choose another with --port.")
    with server:
        typer.echo(f"http://127.0.0.1:{server.server_address[1]}/")
        server.serve_forever()


if __name__ == "__main__":
    typer.run(main)
