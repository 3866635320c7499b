"""The page beside this file, with an exported model and onnxruntime-web: python examples/browser/serve.py onnx/

npm install --prefix build onnxruntime-web    # once; or name another folder with --runtime
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import typer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RUNTIME = ROOT / "build" / "node_modules" / "onnxruntime-web" / "dist"


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of several folders, each under its own name."""

    def __init__(self, *args: Any, folders: Mapping[str, Path], **kwargs: Any) -> None:
        self._folders = folders
        super().__init__(*args, directory=str(HERE), **kwargs)

    def translate_path(self, path: str) -> str:
        """`model/encoder.onnx` -> the file; other paths are files beside this script."""
        inside = Path(super().translate_path(path)).relative_to(HERE)  # the standard library removes ..
        first, *rest = inside.parts or ("",)
        return str(self._folders[first].joinpath(*rest)) if first in self._folders else str(HERE / inside)

    def end_headers(self) -> None:
        """Browsers let WebAssembly use several threads only with these headers."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log requests."""


def make_server(export: Path, runtime: Path = RUNTIME, port: int = 0) -> ThreadingHTTPServer:
    """A server that only this machine reaches; port 0 takes a free one."""
    folders = {"model": export, "ort": runtime, "photos": ROOT / "repvit_sam" / "example_photos"}
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, folders=folders))


def main(
    export: Annotated[Path, typer.Argument(help="a folder of repvit-sam export onnx")],
    runtime: Annotated[Path, typer.Option(help="onnxruntime-web's dist")] = RUNTIME,
    port: Annotated[int, typer.Option()] = 8000,
) -> None:
    """Serve the page until Ctrl-C."""
    for path in (export / "manifest.json", runtime / "ort.wasm.min.mjs"):
        if not path.is_file():
            sys.exit(f"Error: {path} is not there. {(__doc__ or '').strip()}")
    try:
        server = make_server(export, runtime, port)
    except OSError as error:
        sys.exit(f"Error: port {port}: {error.strerror}. Take another with --port.")
    with server:
        typer.echo(f"http://127.0.0.1:{server.server_address[1]}/")
        server.serve_forever()


if __name__ == "__main__":
    typer.run(main)
