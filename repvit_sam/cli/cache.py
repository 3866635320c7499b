"""``repvit-sam cache``: the converted models on disk."""

from __future__ import annotations

import typer

from ..console import report_errors

app = typer.Typer(help="Converted models, kept on disk so that later starts are fast.", no_args_is_help=True)


@app.command("list")
def list_cache() -> None:
    """The converted models, their sizes, and when each was last used."""
    with report_errors():
        from ..backends.model_cache import ModelCache, age

        cache = ModelCache()
        entries = cache.entries()
        for entry in entries:
            typer.echo(f"{entry.name:<40} {entry.size / 1e6:>7.1f} MB  used {age(entry)} ago")
        total = sum(entry.size for entry in entries)
        typer.echo(f"{total / 1e6:.1f} of at most {cache.limit / 1e6:.0f} MB in {cache.folder}", err=True)


@app.command("clear")
def clear_cache() -> None:
    """Delete the converted models; they are made again when they are needed. Downloaded checkpoints stay."""
    with report_errors():
        from ..backends.model_cache import ModelCache

        gone = ModelCache().clear()
        typer.echo(f"{len(gone)} converted models deleted, {sum(entry.size for entry in gone) / 1e6:.1f} MB freed")
