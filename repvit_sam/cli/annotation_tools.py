"""``repvit-sam annotations``: work with what ``annotate`` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import report_errors

if TYPE_CHECKING:
    from ..annotate.results import Results

app = typer.Typer(help="Work with the results of annotate: filter, merge, convert, preview.", no_args_is_help=True)

ResultsArgument = Annotated[Path, typer.Argument(metavar="RESULTS", help="a folder that annotate wrote")]
NewFolderOption = Annotated[Path, typer.Option(help="a new folder")]


@app.command("filter")
def filter_masks(
    folder: ResultsArgument,
    out: NewFolderOption,
    min_area: Annotated[int, typer.Option(min=0, help="pixels")] = 0,
    max_area: Annotated[int | None, typer.Option(min=0, help="pixels")] = None,
    min_iou: Annotated[float, typer.Option(help="of the model's own rating, predicted_iou")] = 0.0,
    min_stability: Annotated[float, typer.Option(help="of stability_score")] = 0.0,
    min_score: Annotated[float, typer.Option(help="of the detector's score")] = 0.0,
    most: Annotated[int | None, typer.Option(min=0, help="masks an image, the best rated")] = None,
) -> None:
    """Keep some of the masks.

    Example: repvit-sam annotations filter masks --out large --min-area 1024 --min-stability 0.95
    """
    with report_errors():
        from ..annotate.tools import MaskFilter, filter_results

        chosen = MaskFilter(min_area, max_area, min_iou, min_stability, min_score, most)
        _say(filter_results(folder, out, chosen))


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="folders that annotate wrote")],
    out: NewFolderOption,
    prefix: Annotated[bool, typer.Option("--prefix", help="name images after their folder: FOLDER/NAME")] = False,
) -> None:
    """Join several results into one, in the form of the first; images and masks are numbered anew.

    Example: repvit-sam annotations merge monday tuesday --out week
    """
    with report_errors():
        from ..annotate.tools import merge_results

        _say(merge_results(folders, out, prefix))


@app.command()
def convert(
    folder: ResultsArgument,
    out: NewFolderOption,
    form: Annotated[str, typer.Option("--to", help="coco, parquet, png or sa1b")],
) -> None:
    """Write the results in another form. A PNG label map keeps of overlapping masks what is seen.

    Example: repvit-sam annotations convert masks --to parquet --out tables
    """
    with report_errors():
        from ..annotate.tools import convert_results

        _say(convert_results(folder, out, form))


@app.command()
def preview(
    folder: ResultsArgument,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="images")] = 12,
    out: Annotated[Path | None, typer.Option(help="the picture; default: preview.jpg in the folder")] = None,
) -> None:
    """Write a sheet of photographs with their masks.

    Example: repvit-sam annotations preview masks --count 12
    """
    with report_errors():
        from ..annotate.preview import write_preview

        typer.echo(str(write_preview(folder, out or folder / "preview.jpg", count)))


def _say(results: Results) -> None:
    from ..annotate.forms.choice import find_form

    path = results.folder / find_form(results.form).look_at
    typer.echo(f"{results.images:,} images, {results.masks:,} masks -> {path}")
