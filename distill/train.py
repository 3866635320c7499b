"""Train a student from a recipe; the same command continues a run that was stopped.

    python distill/train.py smoke --out RUN --set data.sources='[photos/]'
    python distill/train.py m2_3_windows --out RUN --minutes 9 --start weights/so_far.safetensors --seed 2
    torchrun --nproc-per-node 8 distill/train.py paper --out RUN

``distill/recipes/`` has the recipes, docs/training.md the walk through them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repvit_sam.console import report_errors
from repvit_sam.distill.recipe import find_recipe, read_recipe, with_minutes
from repvit_sam.distill.run.figures import print_figures
from repvit_sam.distill.trainer import train
from repvit_sam.memory import keep_freed_memory


def main(
    recipe: Annotated[str, typer.Argument(help="a YAML file, or the name of one in distill/recipes")],
    out: Annotated[Path, typer.Option(help="folder of the run, new or to be continued")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="key.path=value; repeat")] = None,
    start: Annotated[str | None, typer.Option(help="checkpoint to start from (student.start)")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="of all stages together")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N photos (data.limit)")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="take another for each leg (seed)")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps")] = "auto",
) -> None:
    """Train a student from a recipe."""
    with report_errors():
        given = {"student.start": start, "data.limit": limit, "seed": seed}
        changes = [*(set_ or ()), *(f"{key}={value}" for key, value in given.items() if value is not None)]
        chosen = read_recipe(find_recipe(recipe), changes)
        if minutes:
            chosen = with_minutes(chosen, minutes)
        try:
            folder = train(chosen, out, device)
        except FloatingPointError as error:
            raise ValueError(str(error)) from None
        print_figures(folder.figures())
        typer.echo(f"weights: {out / 'best.safetensors'} and last.safetensors", err=True)


if __name__ == "__main__":
    keep_freed_memory()
    typer.run(main)
