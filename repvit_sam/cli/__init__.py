"""``repvit-sam``: segment photos, look after checkpoints, export them, start the page.

Results go to stdout, all else to stderr; 1 is the exit code for a failure, 2 for a command that makes no sense.
Heavy imports stand inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import download_bar, report_errors, spinner

app = typer.Typer(
    help="Segment Anything that runs where people are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
weights = typer.Typer(help="List, fetch, verify and convert checkpoints.", no_args_is_help=True)
app.add_typer(weights, name="weights")
export = typer.Typer(help="Files for phones, browsers and other runtimes: Core ML and ONNX.", no_args_is_help=True)
app.add_typer(export, name="export")

Photos = Annotated[list[str], typer.Argument(metavar="PHOTO", help="photo files, folders, or 'glob*.jpg' patterns")]
CheckpointOption = Annotated[str, typer.Option(help="name in the catalogue (weights list), or a file")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, mps")]
ExportOutOption = Annotated[Path, typer.Option(help="folder for the files")]
PartOption = Annotated[str, typer.Option(help="encoder, decoder, both")]
CanvasOption = Annotated[int | None, typer.Option(help="side of the canvas in pixels; the checkpoint's by default")]
ForceOption = Annotated[bool, typer.Option("--force", help="overwrite what is there")]
OutOption = Annotated[Path, typer.Option(help="folder for the results; a sub-folder a photo where there are several")]


@app.command()
def segment(
    photos: Photos,
    point: Annotated[list[str] | None, typer.Option(help="X,Y of the object, or X,Y,0 of background; repeat")] = None,
    box: Annotated[list[str] | None, typer.Option(help="X0,Y0,X1,Y1 around an object; repeat for several")] = None,
    every_mask: Annotated[
        bool, typer.Option("--every-mask", help="write all three candidates instead of the best")
    ] = False,
    checkpoint: CheckpointOption = "default",
    device: DeviceOption = "auto",
    out: OutOption = Path("out"),
) -> None:
    """Masks for points and boxes, in pixels of the photo.

    Example: repvit-sam segment photo.jpg --box 100,80,500,420 --point 300,200 --out result
    """
    from .segmenting import ObjectPrompt, segment_photos

    points = [_numbers("--point", text, (2, 3)) for text in point or []]
    boxes = [_numbers("--box", text, (4,)) for text in box or []]
    if not points and not boxes:
        raise typer.BadParameter("give at least one --point or --box; for all objects: repvit-sam everything")
    if points and len(boxes) > 1:
        raise typer.BadParameter("points go with one --box at most; several boxes are several objects")
    labelled = tuple((x, y, int(rest[0]) if rest else 1) for x, y, *rest in points)
    prompts = [ObjectPrompt(labelled, tuple(corners)) for corners in boxes] or [ObjectPrompt(labelled, None)]
    with report_errors():
        failures = segment_photos(photos, prompts, every_mask, checkpoint, device, out)
    _exit_if_failed(failures)


@app.command()
def everything(
    photos: Photos,
    points_per_side: Annotated[int, typer.Option(min=1, max=256, help="points along one side of the grid")] = 32,
    pred_iou: Annotated[float, typer.Option(help="keep masks that the model rates above this")] = 0.88,
    stability: Annotated[float, typer.Option(help="keep masks at least this stable")] = 0.95,
    min_area: Annotated[int, typer.Option(min=0, help="fill holes and drop islands smaller than this, in pixels")] = 0,
    crop_layers: Annotated[int, typer.Option(min=0, max=4, help="look again at crops, for small objects")] = 0,
    checkpoint: CheckpointOption = "default",
    device: DeviceOption = "auto",
    out: OutOption = Path("out"),
) -> None:
    """Masks of all objects, without prompts.

    Example: repvit-sam everything photo.jpg --points-per-side 16 --out result
    """
    from .segmenting import everything_in_photos

    settings = {
        "points_per_side": points_per_side,
        "pred_iou_thresh": pred_iou,
        "stability_score_thresh": stability,
        "min_mask_region_area": min_area,
        "crop_n_layers": crop_layers,
    }
    with report_errors():
        failures = everything_in_photos(photos, settings, checkpoint, device, out)
    _exit_if_failed(failures)


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="the next free one is taken if it is in use")] = 7860,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in")] = "127.0.0.1",
    checkpoint: CheckpointOption = "default",
    device: DeviceOption = "auto",
    mcp: Annotated[bool, typer.Option("--mcp", help="an MCP tool as well (pip install 'gradio[mcp]')")] = False,
) -> None:
    """The web page: open a photo, click, take the mask."""
    try:
        from repvit_sam.app.main import serve
    except ImportError as error:
        typer.echo(f"Error: the page needs its extra ({error}): pip install 'repvit-sam[app]'", err=True)
        raise typer.Exit(1) from None
    with report_errors():
        serve(checkpoint, device, host, port, mcp)


@app.command()
def info(file: Annotated[str, typer.Argument(help="a checkpoint file, or a name in the catalogue")]) -> None:
    """What a checkpoint holds: layout, variant, parameters, provenance, sha256."""
    with report_errors():
        from ..checkpoints import find_checkpoint, read_checkpoint
        from ..files import sha256_of

        path = find_checkpoint(file)
        with spinner(f"reading {path.name}"):
            checkpoint, sha256 = read_checkpoint(path), sha256_of(path)
        floats = [value for value in checkpoint.state.values() if value.is_floating_point()]
        buffers = ("running_mean", "running_var", "positional_encoding_gaussian_matrix")
        counted = {k: v for k, v in checkpoint.state.items() if v.is_floating_point() and not k.endswith(buffers)}
        encoder = sum(v.numel() for k, v in counted.items() if k.startswith("image_encoder."))
        rows = {
            "file": str(path),
            "bytes": f"{path.stat().st_size:,}",
            "sha256": sha256,
            "layout": checkpoint.layout.value,
            "variant": checkpoint.variant,
            "canvas": f"{checkpoint.canvas_size} px",
            "parameters": f"{sum(v.numel() for v in counted.values()):,} (image encoder {encoder:,})",
            "stored as": ", ".join(sorted({str(value.dtype).removeprefix("torch.") for value in floats})),
            **dict(checkpoint.provenance),
        }
        for name, value in rows.items():
            typer.echo(f"{name:<12} " + str(value).rstrip().replace("\n", "\n" + " " * 13))


@weights.command("list")
def list_weights() -> None:
    """The checkpoints that have a name, and whether they are on this machine."""
    from ..checkpoints import ALIASES, CHECKPOINTS

    for entry in CHECKPOINTS.values():
        place = "bundled" if entry.bundled else "fetched" if entry.here else "not here"
        default = "".join(f" ({alias})" for alias, name in ALIASES.items() if name == entry.name)
        typer.echo(f"{entry.name:<16} {entry.variant:<12} {entry.megabytes:>5} MB  {place:<9} {entry.about}{default}")


@weights.command("fetch")
def fetch_weights(name: Annotated[str, typer.Argument(help="a name of: repvit-sam weights list")]) -> None:
    """Download a published checkpoint into the user's cache folder."""
    with report_errors():
        from ..checkpoints import CHECKPOINTS
        from ..checkpoints.download import fetch

        if name not in CHECKPOINTS:
            raise ValueError(f"unknown checkpoint {name!r}; known: {', '.join(CHECKPOINTS)}")
        with download_bar() as bar:
            task = bar.add_task(name, total=None)
            path = fetch(CHECKPOINTS[name], lambda done, total: bar.update(task, completed=done, total=total or None))
        typer.echo(path)


@weights.command("verify")
def verify_weights(file: Annotated[str, typer.Argument(help="a checkpoint file, or a name in the catalogue")]) -> None:
    """Read a checkpoint whole, fit it to its network, and compare its hash with the published one."""
    with report_errors():
        from ..checkpoints import CHECKPOINTS, find_checkpoint, read_checkpoint
        from ..errors import CheckpointError
        from ..files import sha256_of
        from ..load import load

        path = find_checkpoint(file)
        with spinner(f"reading {path.name}"):
            found, checkpoint = sha256_of(path), read_checkpoint(path)
        published = {entry.sha256: entry.name for entry in CHECKPOINTS.values() if entry.sha256}
        by_path = {entry.path: entry for entry in CHECKPOINTS.values()}
        expected = by_path[path].sha256 if path in by_path else ""
        if expected and expected != found:
            raise CheckpointError(f"{path} has sha256 {found}, published is {expected}; delete it and fetch it again")
        for key, value in checkpoint.state.items():
            if value.is_floating_point() and not value.isfinite().all():
                raise CheckpointError(f"{path}: {key} holds NaN or infinity")
        with spinner("fitting it to its network"):
            model = load(path, device="cpu")
        known = f"the published {published[found]}" if found in published else "no published hash to compare with"
        typer.echo(f"{path}: fits {model.variant}, all values finite, sha256 {found} ({known})")


@weights.command("convert")
def convert_weights(
    source: Annotated[str, typer.Argument(metavar="IN", help="a checkpoint in any known layout, or a name")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="a .safetensors, .pt or .pth file to write")],
    layout: Annotated[
        str | None,
        typer.Option(
            help="repvit-sam, published, mobile-sam, segment-anything, encoder; by default OUT's suffix tells"
        ),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="store kernels and matrices as fp16")] = False,
    decoder: Annotated[
        str, typer.Option(help="where prompt encoder and mask decoder come from, if IN is an image encoder alone")
    ] = "default",
    note: Annotated[list[str] | None, typer.Option(help="KEY=TEXT of provenance to keep in OUT; repeat")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite OUT")] = False,
) -> None:
    """Convert between layouts, both ways: the project's safetensors, and the files that others publish."""
    from dataclasses import replace

    with report_errors():
        from ..build import build_repvit_sam
        from ..checkpoints import Layout, find_checkpoint, load_weights, read_checkpoint, save_checkpoint
        from ..errors import CheckpointError

        if target.exists() and not force:
            raise CheckpointError(f"{target} exists; --force overwrites it")
        known = [known.value for known in Layout]
        if layout is not None and layout not in known:
            raise ValueError(f"unknown layout {layout!r}; known: {', '.join(known)}")
        checkpoint = read_checkpoint(find_checkpoint(source))
        if checkpoint.encoder_alone and layout != Layout.ENCODER.value:
            checkpoint = checkpoint.with_decoder_of(read_checkpoint(find_checkpoint(decoder)))
            typer.echo(f"{source} holds an image encoder alone; the decoder is that of {decoder}", err=True)
        if bad := [text for text in note or [] if "=" not in text]:
            raise ValueError(f"--note takes KEY=TEXT, got {bad[0]!r}")
        notes = dict(text.split("=", 1) for text in note or [])
        checkpoint = replace(checkpoint, provenance={**checkpoint.provenance, **notes})
        if not checkpoint.encoder_alone:
            load_weights(build_repvit_sam(checkpoint.variant), checkpoint)  # what does not fit is not passed on
        save_checkpoint(checkpoint, target, Layout(layout) if layout else None, half)
        typer.echo(target)


@export.command("coreml")
def export_to_coreml(
    out: ExportOutOption,
    checkpoint: CheckpointOption = "default",
    part: PartOption = "both",
    precision: Annotated[str, typer.Option(help="fp16, fp32, or 8-bit weights: palette8, linear8")] = "fp16",
    canvas: CanvasOption = None,
    tensor: Annotated[
        bool, typer.Option("--tensor", help="the encoder takes the finished canvas instead of a picture")
    ] = False,
    upscaled: Annotated[
        bool, typer.Option("--upscaled", help="the decoder gives logits on the canvas as well")
    ] = False,
    force: ForceOption = False,
) -> None:
    """encoder.mlpackage and decoder.mlpackage for iOS 16, macOS 13 and later, compared with PyTorch.

    Example: repvit-sam export coreml --checkpoint small --out phone
    """
    with report_errors():
        from ..export import ExportConfig, export_coreml

        wish = ExportConfig(checkpoint=checkpoint, out=out, part=part, precision=precision, canvas=canvas, force=force)
        for path in export_coreml(wish, picture=not tensor, upscaled=upscaled, log=_to_stderr):
            typer.echo(path)


@export.command("onnx")
def export_to_onnx(
    out: ExportOutOption,
    checkpoint: CheckpointOption = "default",
    part: PartOption = "both",
    precision: Annotated[str, typer.Option(help="fp32, fp16, int8")] = "fp32",
    canvas: CanvasOption = None,
    calibrate: Annotated[Path | None, typer.Option(help="int8: a folder of photographs")] = None,
    picture: Annotated[
        bool, typer.Option("--picture", help="the encoder takes uint8 pixels instead of the finished canvas")
    ] = False,
    single_mask: Annotated[
        bool, typer.Option("--single-mask", help="the decoder chooses one mask, by SAM's rule, instead of all four")
    ] = False,
    force: ForceOption = False,
) -> None:
    """encoder.onnx and decoder.onnx, the decoder with segment_anything's names, compared with PyTorch.

    Example: repvit-sam export onnx --checkpoint small --out onnx
    """
    with report_errors():
        from ..export import ExportConfig, export_onnx

        wish = ExportConfig(checkpoint=checkpoint, out=out, part=part, precision=precision, canvas=canvas, force=force)
        for path in export_onnx(wish, calibrate, picture, single_mask, log=_to_stderr):
            typer.echo(path)


def main() -> None:
    """The entry point of the installed command."""
    app()


def _numbers(option: str, text: str, counts: tuple[int, ...]) -> list[float]:
    forms = {"--point": "X,Y or X,Y,LABEL with label 1 or 0", "--box": "X0,Y0,X1,Y1"}
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in counts or (len(numbers) == 3 and numbers[2] not in (0, 1)):
        raise typer.BadParameter(f"{option} takes {forms[option]}, got {text!r}")
    return numbers


def _to_stderr(line: str) -> None:
    typer.echo(line, err=True)


def _exit_if_failed(failures: int) -> None:
    if failures:
        typer.echo(f"{failures} of the photos failed", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
