"""``repvit-sam label``: the web page on a folder of photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import report_errors
from .options import CheckpointOption, DeviceOption, EngineOption, PrecisionOption, TextFieldOption

if TYPE_CHECKING:
    from repvit_sam.app.labelling.label_store import LabelStore

_ANNOTATIONS = "annotations.json"
_KINDS = ("coco", "coco-polygons", "yolo", "png", "voc")


def label(
    folder: Annotated[Path, typer.Argument(help="with photos; or with images/ and annotations.json")],
    classes: Annotated[str | None, typer.Option(help="cat,dog or a text file with a name a line")] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="the COCO file to read and write; annotations.json in FOLDER if not given")
    ] = None,
    polygons: Annotated[
        bool, typer.Option("--polygons", help="write polygons for masks without holes, for tools that read no RLE")
    ] = False,
    export: Annotated[
        str | None, typer.Option(help=f"write the labels to --out as {', '.join(_KINDS)}, and end")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for --export")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="the next free one is taken if it is in use")] = 7860,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in")] = "127.0.0.1",
    checkpoint: CheckpointOption = "default",
    device: DeviceOption = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    detector: TextFieldOption = "",
) -> None:
    """Label the photos of a folder in the web page: click, name, next. Writes COCO JSON.

    Example: repvit-sam label photos --classes cat,dog
    """
    if export and export not in _KINDS:
        raise typer.BadParameter(f"--export takes {', '.join(_KINDS)}, got {export!r}")
    if bool(export) != bool(out):
        raise typer.BadParameter("--export and --out go together")
    try:
        from repvit_sam.app.main import serve
    except ImportError as error:
        typer.echo(f"Error: the page needs its extra ({error}): pip install 'repvit-sam[app]'", err=True)
        raise typer.Exit(1) from None
    with report_errors():
        labels = _open(folder, annotations, polygons)
        try:
            for name in _names(classes) if classes else [] if labels.classes() else ["object"]:
                labels.add_class(name)
            if export and out:
                typer.echo(f"{_export(labels, export, out)} files in {out}")
            else:
                serve(checkpoint, device, host, port, False, engine, precision, labels, detector)
        finally:
            labels.close()


def _open(folder: Path, annotations: Path | None, polygons: bool) -> LabelStore:
    from repvit_sam.app.labelling.label_store import LabelStore
    from repvit_sam.app.labelling.photo_folder import PhotoFolder

    photos = PhotoFolder(folder)
    if not photos.names:
        raise ValueError(f"{folder} holds no photos; give a folder that does")
    path = annotations or folder / _ANNOTATIONS
    if all(name.startswith("images/") for name in photos.names):  # as training and evaluation read it
        photos = PhotoFolder(folder / "images")
    return LabelStore(photos, path.absolute(), polygons)


def _names(classes: str) -> list[str]:
    """Of the option --classes: a text file's lines, or the words between commas."""
    path = Path(classes)
    if path.suffix and not path.is_file():
        raise ValueError(f"{classes} does not exist; give names between commas, or a text file with a name a line")
    parts = path.read_text(encoding="utf-8").splitlines() if path.is_file() else classes.split(",")
    names = [part.strip() for part in parts if part.strip()]
    if not names:
        raise ValueError(f"--classes {classes!r} has no names in it")
    return names


def _export(labels: LabelStore, kind: str, out: Path) -> int:
    from repvit_sam.app.labelling.label_formats import export_files

    from ..files import atomic_write

    count = 0
    for name, content in export_files(labels, kind):  # type: ignore[arg-type]  # checked above
        with atomic_write(out / name) as beside:
            beside.write_bytes(content)
        count += 1
    return count
