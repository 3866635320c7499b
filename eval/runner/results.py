"""The results of an evaluation: a table in Markdown, and JSON that tells how the numbers were made."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import typer

import repvit_sam
from repvit_sam.files import atomic_write

from ..metrics import Metrics
from .config import RunConfig
from .pictures import Example

_LIBRARIES = ("torch", "timm", "numpy", "pycocotools", "opencv-python-headless", "onnxruntime")


@dataclass(frozen=True)
class Summary:
    """What a program makes of its records.

    Attributes:
        protocol: every choice that decides the metrics, with a ``name`` for all of them.
        data: what was evaluated: folders, files, the number of photos (or of the program's unit), of instances.
        metrics: of the whole data.
        rows: the rows of the table by name, if there is more than one.
        scores: of every single case, for readers of the JSON.
        examples: makes the cases for ``--save-figures``.
        examples_per_sheet: how many of the best, median and worst are drawn.
        write_files: writes further files into the folder of results.
    """

    protocol: Mapping[str, Any]
    data: Mapping[str, Any]
    metrics: Metrics
    rows: Mapping[str, Metrics] = field(default_factory=dict)
    scores: Sequence[Mapping[str, Any]] = ()
    examples: Callable[[], Sequence[Example]] = tuple
    examples_per_sheet: int = 6
    write_files: Callable[[Path], None] = lambda out: None


@dataclass(frozen=True)
class Results:
    """A summary, and how it was made.

    Attributes:
        seconds: summed over photos and workers.
        unit: what ``run.limit`` counts; ``summary.data`` holds the number under this name.
    """

    program: str
    run: RunConfig
    summary: Summary
    seconds: float
    unit: str = "photos"

    @property
    def subset(self) -> str | None:
        """ "the first 50 photos"; None where the limit left nothing out."""
        if self.run.limit is None or self.run.limit > self.summary.data[self.unit]:
            return None
        return f"the first {self.run.limit} {self.unit}"

    def as_json(self) -> dict[str, Any]:
        model, summary = self.run.model, self.summary
        return {
            "program": self.program,
            "protocol": dict(summary.protocol),
            "data": dict(summary.data),
            "subset": self.subset,
            "figures": dict(summary.metrics),
            **({"rows": {name: dict(row) for name, row in summary.rows.items()}} if summary.rows else {}),
            **asdict(model),
            "computed_by": f"{model.choice.engine} {model.choice.precision}",
            "sha256": model.sha256,
            "seconds": round(self.seconds, 1),
            "workers": self.run.workers,
            "threads": torch.get_num_threads(),
            "hardware": hardware(model.torch_device),
            "versions": versions(),
            **({"scores": list(summary.scores)} if summary.scores else {}),
        }


def print_table(results: Results, digits: int = 3) -> None:
    """Print the table on stdout, in Markdown."""
    typer.echo(_table(results, digits))


def write_results(results: Results, out: Path, digits: int = 3) -> None:
    """Write ``out/results.json`` and ``out/table.md``."""
    for name, text in (
        ("results.json", json.dumps(results.as_json(), indent=1)),
        ("table.md", _table(results, digits)),
    ):
        with atomic_write(out / name) as beside:
            beside.write_text(text + "\n", encoding="utf-8")
    typer.echo(f"written: {out / 'results.json'}, {out / 'table.md'}", err=True)


def markdown(rows: Mapping[str, Metrics], digits: int = 3) -> str:
    """A Markdown table with aligned columns."""
    names = list(next(iter(rows.values())))
    cells = [["", *names]]
    cells += [[f"`{label}`", *(_number(row[name], digits) for name in names)] for label, row in rows.items()]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names) + 1)]
    lines = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in cells]
    lines.insert(1, ["-" * max(width, 3) for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def versions() -> dict[str, str]:
    """Versions of this package, Python and the libraries that can change the numbers."""
    found = {"repvit_sam": repvit_sam.__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware(device: torch.device) -> str:
    """The name of the GPU or the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")  # platform.processor() is empty on most Linux systems
    names = re.findall(r"^model name\s*: (.*)$", cpuinfo.read_text(), re.M) if cpuinfo.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def _table(results: Results, digits: int) -> str:
    summary, model = results.summary, results.run.model.name
    count = f"{summary.data[results.unit]} {results.unit}"
    title = f"{results.program}, {summary.protocol['name']}, {model}: {count}"
    if results.subset:
        title = f"A SUBSET, not comparable with figures of the whole set: {results.subset}\n{title}"
    return f"{title}\n\n{markdown(summary.rows or {model: summary.metrics}, digits)}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
