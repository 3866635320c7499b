"""Figures -> a table in Markdown, and JSON with all that made them."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import typer

import repvit_sam
from repvit_sam.device import pick_device
from repvit_sam.files import atomic_write

from .evaluated_model import EvaluatedModel

_LIBRARIES = ("torch", "timm", "numpy", "pycocotools", "opencv-python-headless", "onnxruntime")

Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class Results:
    """One row of a table, and how it came about.

    Attributes:
        program: "eval/instances.py".
        protocol: every choice that decides the figures, with the ``name`` of it all.
        data: what was evaluated on: folders, files, number of ``photos``, of instances.
        figures: name -> value, in the order of the table; None where there was nothing to measure.
        seconds: summed over the photos, and over workers.
        limit: not None: a subset.
        rows: where there is more than one row, further figures by name of the row.
        unit: what ``limit`` counts; how many there are is told in ``data`` under this name.
        scores: of every single case, for whoever reads the JSON.
    """

    program: str
    subject: EvaluatedModel
    protocol: Mapping[str, Any]
    data: Mapping[str, Any]
    figures: Figures
    seconds: float
    limit: int | None = None
    workers: int = 1
    rows: Mapping[str, Figures] = field(default_factory=dict)
    unit: str = "photos"
    scores: Sequence[Mapping[str, Any]] = ()

    @property
    def subset(self) -> str | None:
        """ "the first 50 photos"; None for all of them, as with a limit above the number there is."""
        if self.limit is None or self.limit > self.data[self.unit]:
            return None
        return f"the first {self.limit} {self.unit}"

    def as_json(self) -> dict[str, Any]:
        device = pick_device(self.subject.device) if self.subject.engine == "torch" else torch.device("cpu")
        return {
            "program": self.program,
            "protocol": dict(self.protocol),
            "data": dict(self.data),
            "subset": self.subset,
            "figures": dict(self.figures),
            **({"rows": {name: dict(row) for name, row in self.rows.items()}} if self.rows else {}),
            **asdict(self.subject),
            "sha256": self.subject.sha256,
            "seconds": round(self.seconds, 1),
            "workers": self.workers,
            "threads": torch.get_num_threads(),
            "hardware": hardware(device),
            "versions": versions(),
            **({"scores": list(self.scores)} if self.scores else {}),
        }


def show(results: Results, digits: int = 3) -> None:
    """The table on stdout, in Markdown: to read and to paste."""
    typer.echo(_table(results, digits))


def keep(results: Results, out: Path, digits: int = 3) -> None:
    """OUT/results.json and OUT/table.md."""
    for name, text in (
        ("results.json", json.dumps(results.as_json(), indent=1)),
        ("table.md", _table(results, digits)),
    ):
        with atomic_write(out / name) as beside:
            beside.write_text(text + "\n", encoding="utf-8")
    typer.echo(f"written: {out / 'results.json'}, {out / 'table.md'}", err=True)


def markdown(rows: Mapping[str, Figures], digits: int = 3) -> str:
    """One line a row, columns aligned."""
    names = list(next(iter(rows.values())))
    cells = [["", *names]]
    cells += [[f"`{label}`", *(_number(row[name], digits) for name in names)] for label, row in rows.items()]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names) + 1)]
    lines = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in cells]
    lines.insert(1, ["-" * max(width, 3) for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _table(results: Results, digits: int) -> str:
    count = f"{results.data[results.unit]} {results.unit}"
    title = f"{results.program}, {results.protocol['name']}, {results.subject.name}: {count}"
    if results.subset:
        title = f"A SUBSET, not comparable with figures of the whole set: {results.subset}\n{title}"
    return f"{title}\n\n{markdown(results.rows or {results.subject.name: results.figures}, digits)}"


def versions() -> dict[str, str]:
    """Of this package and of the libraries that have a say in the figures, as installed."""
    found = {"repvit_sam": repvit_sam.__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware(device: torch.device) -> str:
    """The GPU's or the processor's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")  # platform.processor() is empty on most Linux systems
    names = re.findall(r"^model name\s*: (.*)$", cpuinfo.read_text(), re.M) if cpuinfo.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
