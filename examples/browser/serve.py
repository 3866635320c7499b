"""Serve the page in this folder with an exported model and onnxruntime-web.

repvit-sam export onnx --checkpoint small --out onnx
npm install --prefix build onnxruntime-web    # or pass another folder with --runtime
python examples/browser/serve.py onnx
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import typer

import repvit_sam

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RUNTIME = ROOT / "build" / "node_modules" / "onnxruntime-web" / "dist"


class Handler(SimpleHTTPRequestHandler):
    """Files of several folders, each under its own URL prefix."""

    def __init__(self, *args: Any, folders: Mapping[str, Path], **kwargs: Any) -> None:
        self._folders = folders
        super().__init__(*args, directory=str(HERE), **kwargs)

    def translate_path(self, path: str) -> str:
        """`model/encoder.onnx` -> the file in the folder for "model"; without such a folder, a file in this one."""
        inside = Path(super().translate_path(path)).relative_to(HERE)  # the standard library removes every ".."
        first, *rest = inside.parts or ("",)
        return str(self._folders[first].joinpath(*rest)) if first in self._folders else str(HERE / inside)

    def end_headers(self) -> None:
        """Add the headers that a browser wants before WebAssembly may use several threads."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def make_server(export: Path, runtime: Path = RUNTIME, port: int = 0) -> ThreadingHTTPServer:
    """A server that only this machine can reach; port 0 takes a free port."""
    folders = {"model": export, "ort": runtime, "photos": repvit_sam.example_photo("coffee").parent}
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, folders=folders))


def main(
    export: Annotated[Path, typer.Argument(help="folder written by repvit-sam export onnx")],
    runtime: Annotated[Path, typer.Option(help="the folder dist of onnxruntime-web")] = RUNTIME,
    port: Annotated[int, typer.Option()] = 8000,
) -> None:
    """Serve the page until Ctrl-C."""
    for path in (export / "manifest.json", runtime / "ort.wasm.min.mjs"):
        if not path.is_file():
            sys.exit(f"Error: {path} does not exist. {(__doc__ or '').strip()}")
    try:
        server = make_server(export, runtime, port)
    except OSError as error:
        sys.exit(f"Error: port {port}: {error.strerror}. Choose another with --port.")
    with server:
        typer.echo(f"http://127.0.0.1:{server.server_address[1]}/")
        server.serve_forever()


if __name__ == "__main__":
    typer.run(main)
