"""Build the page that segments in the visitor's browser alone: a folder of static files for any host.

npm install --prefix build onnxruntime-web    # or pass its folder dist with --runtime
python examples/browser/build.py --checkpoint small --out build/site
python examples/browser/serve.py build/site
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from web_model import write_web_model

import repvit_sam
from repvit_sam.app.limits import MAX_LAYERS, MAX_PIXELS, MAX_POINTS, MAX_PROMPT_SETS, MAX_UPLOAD
from repvit_sam.example_photos import EXAMPLE_PHOTOS
from repvit_sam.export import ExportConfig, export_onnx
from repvit_sam.visualize import COLOURS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STATIC, PAGE = HERE / "static", ROOT / "app" / "static"
RUNTIME = ROOT / "build" / "node_modules" / "onnxruntime-web" / "dist"
RUNTIME_FILES = (
    *("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    *("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm"),
)
PRECISIONS = {  # what the page shows
    "fp32": "fp32",
    "fp16": "fp16 weights",
    "int8": "int8 encoder",
}
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".bmp")  # what browsers read; the photo decides
_LARGE = (".onnx", ".wasm")  # kept by assets.js, with progress
_THUMB_SIDE = 160  # pixels
_PLACE = "<!-- build.py puts app/static/page.html here -->"


def build(
    checkpoint: str,
    out: Path,
    precision: str = "fp16",
    canvas: int | None = None,
    runtime: Path = RUNTIME,
    calibrate: Path | None = None,
) -> None:
    """Write the site.

    Args:
        out: a folder that does not exist, or an earlier site, which is replaced.
        precision: fp32; fp16, stored in half the bytes and computed in float32; int8, an encoder in 8 bits.
        canvas: side of the canvas in pixels; None takes the checkpoint's.
        runtime: the folder dist of onnxruntime-web.
        calibrate: a folder of photographs, for int8.

    Raises:
        ValueError: an unknown precision, or a folder that is no site.
        FileNotFoundError: onnxruntime-web is missing.
        ExportError, PhotoError: as ``export_onnx``.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    missing = [name for name in RUNTIME_FILES if not (runtime / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{runtime / missing[0]} does not exist: npm install --prefix build onnxruntime-web")
    if out.exists() and any(out.iterdir()) and not (out / "site.json").is_file():
        raise ValueError(f"{out} holds other files; give a new folder, or that of an earlier site")
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        manifest = _write_model(site / "model", Path(folder) / "export", checkpoint, precision, canvas, calibrate)
        _copy_page(site)
        for name in RUNTIME_FILES:
            _copy(runtime / name, site / "ort" / name)
        examples = [_write_example(site, name) for name in EXAMPLE_PHOTOS]
        description = describe_site(site, checkpoint, precision, manifest["canvas"], examples)
        (site / "site.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(site, out)


def describe_site(
    site: Path, checkpoint: str, precision: str, canvas: int, examples: list[dict[str, str]]
) -> dict[str, Any]:
    """site.json: what the page's worker needs to know, and the files with what the browser keeps them under."""
    files = sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file())
    return {
        "about": {
            "version": repvit_sam.__version__,
            "checkpoint": checkpoint,
            "checkpoints": [{"name": checkpoint, "label": checkpoint, "about": "", "everything": {}}],
            "max_bytes": MAX_UPLOAD,
            "max_pixels": MAX_PIXELS,
            "suffixes": list(SUFFIXES),
            "limits": {"layers": MAX_LAYERS, "steps": MAX_PROMPT_SETS, "points": MAX_POINTS},
            "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in COLOURS],
        },
        "canvas": canvas,
        "precision": PRECISIONS[precision],
        "examples": examples,
        "files": {name: _identity(site / name) for name in files if name.endswith(_LARGE)},
        "page_files": ["./", "site.json", *(name for name in files if not name.endswith(_LARGE))],
    }


def _write_model(
    folder: Path, export: Path, checkpoint: str, precision: str, canvas: int | None, calibrate: Path | None
) -> Any:
    """encoder.onnx and decoder.onnx for the browser; returns the encoder's entry of the export's manifest."""
    exported = "int8" if precision == "int8" else "fp32"
    export_onnx(ExportConfig(checkpoint=checkpoint, out=export, precision=exported, canvas=canvas), calibrate)
    folder.mkdir(parents=True)
    for name in ("encoder.onnx", "decoder.onnx"):
        write_web_model(export / name, folder / name, halve=precision != "fp32")
    return json.loads((export / "manifest.json").read_text(encoding="utf-8"))["files"]["encoder.onnx"]


def _copy_page(site: Path) -> None:
    """The page's own files, and app/static below page/."""
    shutil.copytree(STATIC, site, dirs_exist_ok=True)
    shutil.copytree(PAGE, site / "page", ignore=shutil.ignore_patterns("page.html"))
    index = (STATIC / "index.html").read_text(encoding="utf-8")
    page = (PAGE / "page.html").read_text(encoding="utf-8")
    (site / "index.html").write_text(index.replace(_PLACE, page), encoding="utf-8")
    for name in ("LICENSE", "NOTICE"):
        _copy(ROOT / name, site / name)


def _write_example(site: Path, name: str) -> dict[str, str]:
    photo, thumb = f"photos/{name}.jpg", f"photos/{name}_thumb.jpg"
    _copy(repvit_sam.example_photo(name), site / photo)
    with Image.open(site / photo) as picture:
        picture.thumbnail((_THUMB_SIDE, _THUMB_SIDE))
        picture.save(site / thumb, quality=85)
    return {"name": name, "title": name.capitalize(), "photo": photo, "thumb": thumb}


def _identity(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()[:16]}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def main(
    out: Annotated[Path, typer.Option(help="folder for the site")],
    checkpoint: Annotated[str, typer.Option(help="name or path")] = "small",
    precision: Annotated[str, typer.Option(help=", ".join(PRECISIONS))] = "fp16",
    canvas: Annotated[int | None, typer.Option(help="its side in pixels; the checkpoint's by default")] = None,
    runtime: Annotated[Path, typer.Option(help="the folder dist of onnxruntime-web")] = RUNTIME,
    calibrate: Annotated[Path | None, typer.Option(help="int8: a folder of photographs")] = None,
) -> None:
    """Write the page as static files."""
    try:
        build(checkpoint, out, precision, canvas, runtime, calibrate)
    except (repvit_sam.RepVitSamError, ValueError, OSError) as error:
        sys.exit(f"Error: {error}")
    typer.echo(out)


if __name__ == "__main__":
    typer.run(main)
