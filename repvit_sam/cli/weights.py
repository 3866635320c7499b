"""``repvit-sam info`` and ``repvit-sam weights``: list, fetch, verify, convert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import download_bar, report_errors, spinner
from .options import CheckpointArgument

if TYPE_CHECKING:
    from ..checkpoints import Checkpoint

app = typer.Typer(help="List, fetch, verify and convert checkpoints.", no_args_is_help=True)


def info(file: CheckpointArgument) -> None:
    """What a checkpoint holds (key layout, variant, parameters, provenance, sha256), and what computes it here."""
    with report_errors():
        from ..checkpoints import find_checkpoint, read_checkpoint
        from ..files import sha256_of

        path = find_checkpoint(file)
        with spinner(f"reading {path.name}"):
            checkpoint, sha256 = read_checkpoint(path), sha256_of(path)
        for name, value in (_facts(checkpoint, sha256) | {"engine": _engine()}).items():
            typer.echo(f"{name:<12} " + str(value).rstrip().replace("\n", "\n" + " " * 13))


@app.command("list")
def list_weights() -> None:
    """The checkpoints that have a name, and whether they are on this machine."""
    from ..checkpoints import ALIASES, CHECKPOINTS

    for entry in CHECKPOINTS.values():
        place = "bundled" if entry.bundled else "fetched" if entry.here else "not here"
        default = "".join(f" ({alias})" for alias, name in ALIASES.items() if name == entry.name)
        typer.echo(f"{entry.name:<16} {entry.variant:<12} {entry.megabytes:>5} MB  {place:<9} {entry.about}{default}")


@app.command("fetch")
def fetch_weights(name: Annotated[str, typer.Argument(help="a name from `repvit-sam weights list`")]) -> None:
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


@app.command("verify")
def verify_weights(file: CheckpointArgument) -> None:
    """Read a whole checkpoint, fit it to its network, and compare its hash with the published one."""
    with report_errors():
        from ..checkpoints import find_checkpoint, read_checkpoint
        from ..files import sha256_of
        from ..loading import load

        path = find_checkpoint(file)
        with spinner(f"reading {path.name}"):
            sha256, checkpoint = sha256_of(path), read_checkpoint(path)
        hash_found = _check_hash(path, sha256)
        _check_finite(checkpoint)
        with spinner("fitting it to its network"):
            model = load(path, device="cpu")
        typer.echo(f"{path}: fits {model.variant}, all values finite, sha256 {sha256} ({hash_found})")


@app.command("convert")
def convert_weights(
    source: Annotated[str, typer.Argument(metavar="IN", help="a checkpoint in any known layout, or a name")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="a .safetensors, .pt or .pth file to write")],
    layout: Annotated[
        str | None,
        typer.Option(
            help="repvit-sam, published, mobile-sam, segment-anything, encoder; by default OUT's suffix decides"
        ),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="store kernels and matrices as fp16")] = False,
    decoder: Annotated[
        str, typer.Option(help="where prompt encoder and mask decoder come from, if IN is an image encoder alone")
    ] = "default",
    note: Annotated[list[str] | None, typer.Option(help="KEY=TEXT of provenance to keep in OUT; repeat")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite OUT")] = False,
) -> None:
    """Convert between key layouts, both ways: the project's safetensors, and the files that others publish."""
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
        checkpoint = _with_notes(checkpoint, note or [])
        if not checkpoint.encoder_alone:  # a file that does not fit its network is not passed on
            load_weights(build_repvit_sam(checkpoint.variant), checkpoint)
        save_checkpoint(checkpoint, target, Layout(layout) if layout else None, half)
        typer.echo(target)


def _facts(checkpoint: Checkpoint, sha256: str) -> dict[str, str]:
    floats = {key: value for key, value in checkpoint.state.items() if value.is_floating_point()}
    buffers = ("running_mean", "running_var", "positional_encoding_gaussian_matrix")
    counts = {key: value.numel() for key, value in floats.items() if not key.endswith(buffers)}
    encoder = sum(count for key, count in counts.items() if key.startswith("image_encoder."))
    return {
        "file": str(checkpoint.path),
        "bytes": f"{checkpoint.path.stat().st_size:,}",
        "sha256": sha256,
        "layout": checkpoint.layout.value,
        "variant": checkpoint.variant,
        "canvas": f"{checkpoint.canvas_size} px",
        "parameters": f"{sum(counts.values()):,} (image encoder {encoder:,})",
        "stored as": ", ".join(sorted({str(value.dtype).removeprefix("torch.") for value in floats.values()})),
        **checkpoint.provenance,
    }


def _engine() -> str:
    """What ``--engine auto`` takes on this machine, and why."""
    from ..backends.choice import choose, this_machine
    from ..device import pick_device

    choice = choose(this_machine(pick_device("auto").type))
    return f"{choice.engine} {choice.precision}: {choice.reason}"


def _check_hash(path: Path, sha256: str) -> str:
    """Compare with the published hash, and say in words what was found."""
    from ..checkpoints import CHECKPOINTS
    from ..errors import CheckpointError

    expected = next((entry.sha256 for entry in CHECKPOINTS.values() if entry.path == path), "")
    if expected and expected != sha256:
        raise CheckpointError(f"{path} has sha256 {sha256}, published is {expected}; delete it and fetch it again")
    published = {entry.sha256: entry.name for entry in CHECKPOINTS.values() if entry.sha256}
    return f"the published {published[sha256]}" if sha256 in published else "no published hash to compare with"


def _check_finite(checkpoint: Checkpoint) -> None:
    from ..errors import CheckpointError

    for key, value in checkpoint.state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(f"{checkpoint.path}: {key} holds NaN or infinity")


def _with_notes(checkpoint: Checkpoint, notes: list[str]) -> Checkpoint:
    """The checkpoint with KEY=TEXT notes in its provenance."""
    from dataclasses import replace

    for text in notes:
        if "=" not in text:
            raise ValueError(f"--note takes KEY=TEXT, got {text!r}")
    pairs = dict(text.split("=", 1) for text in notes)
    return replace(checkpoint, provenance={**checkpoint.provenance, **pairs})
