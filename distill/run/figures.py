"""The figures of each validation: which are better, and a table of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ..recipe import Stage

_COLUMNS = ("loss", "held_out", "box", "point", "agreement_box", "agreement_point")


def merit(figures: Mapping[str, float], stage: Stage) -> float:
    """What "best" means: largest box + point mIoU; without true masks the smallest held-out error; else the last."""
    if "box" in figures:
        return figures["box"] + figures["point"]
    return -figures["held_out"] if stage.kind == "encoder" and "held_out" in figures else float("inf")


def print_figures(lines: Sequence[Mapping[str, Any]]) -> None:
    """A table: the teacher, then every validation."""
    columns = [name for name in _COLUMNS if any(name in line for line in lines)]
    table = Table()
    table.add_column("stage")
    table.add_column("images", justify="right")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for line in lines:
        values = (f"{line[column]:.3f}" if column in line else "-" for column in columns)
        table.add_row(line["stage"], str(line["images"]), *values)
    console = Console()
    # a file or pipe has no width of its own, and would get a table cut to 80 columns
    (console if console.is_terminal else Console(width=120)).print(table)
