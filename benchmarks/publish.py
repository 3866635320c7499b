"""README's table of speed and two plots, from what `make bench` wrote to build/bench/.

    python benchmarks/publish.py

The table stands between two comments in README.md and can be made again. The plots are docs/pictures/speed.svg, opening
a photo by checkpoint and engine beside one click, and docs/pictures/prompt_count.svg, time by number of boxes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from repvit_sam.console import report_errors

BEGIN, END = "<!-- speed: made by benchmarks/publish.py -->", "<!-- speed: end -->"
ORDER = ("encode", "clicks", "prompt_count", "everything", "folder", "startup", "memory", "photo_size")


def read_reports(folder: Path) -> dict[str, Any]:
    """Program -> its JSON, in the order of the table.

    Raises:
        ValueError: there is none.
    """
    found = {name: folder / f"{name}.json" for name in ORDER}
    reports = {name: json.loads(path.read_text()) for name, path in found.items() if path.is_file()}
    if not reports:
        raise ValueError(f"{folder} holds no results; run make bench first")
    return reports


def table(reports: dict[str, Any]) -> str:
    """Markdown: the machine, then a row for each case."""
    first = next(iter(reports.values()))
    machine = first["machine"]
    versions = ", ".join(
        f"{name} {first['versions'][name]}" for name in ("torch", "openvino") if name in first["versions"]
    )
    lines = [
        f"{machine['processor']}, {machine['cores']} cores ({', '.join(machine['instructions'])}), "
        f"{machine['ram_gib']} GiB, {machine['system']}, {versions}. Medians, both sides in turn in one run.",
        "",
        "| | reference | here | ratio | |",
        "|---|---|---|---|---|",
    ]
    for report in reports.values():
        for row in report["rows"]:
            reference = "" if row["reference"] is None else _amount(row["reference"], row["unit"])
            ratio = "" if row["ratio"] is None else f"**{row['ratio']:.1f}**"
            lines.append(
                f"| {row['case']} | {reference} | {_amount(row['ours'], row['unit'])} | {ratio} | {row['notes']} |"
            )
    lines += ["", *(f"    {report['command'].split(' --json')[0]}" for report in reports.values())]
    return "\n".join(lines)


def _amount(value: float, unit: str) -> str:
    if unit == "ms" and value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} {unit}"


def pictures_of(reports: dict[str, Any]) -> str:
    """Markdown that shows the plots."""
    shown = {"encode": ("Time to open a photo", "speed"), "prompt_count": ("Time by number of boxes", "prompt_count")}
    lines = [f"![{text}](docs/pictures/{name}.svg)" for program, (text, name) in shown.items() if program in reports]
    return "\n".join(["", "", *lines]) if lines else ""


def put_between(text: str, content: str, begin: str = BEGIN, end: str = END) -> str:
    """Replace what stands between the two comments.

    Raises:
        ValueError: a comment is missing.
    """
    if begin not in text or end not in text:
        raise ValueError(f"the page must have the lines {begin} and {end}, between which the table is put")
    return text[: text.index(begin) + len(begin)] + f"\n\n{content}\n\n" + text[text.index(end) :]


def plot_speed(reports: dict[str, Any], path: Path) -> None:
    """Opening a photo by checkpoint and engine, the reference beside it; a line where one click stands."""
    plots = import_pyplot()
    rows = reports["encode"]["rows"]
    figure, axes = plots.subplots(figsize=(7, 0.5 * len(rows) + 1.2), layout="constrained")
    labels = [row["case"].removeprefix("encode, ") for row in rows]
    axes.barh(labels, [row["reference"] for row in rows], color="#c9c9c9", label="published code")
    axes.barh(labels, [row["ours"] for row in rows], height=0.5, color="#2f6fde", label="here")
    for number, row in enumerate(rows):
        axes.text(row["ours"], number, f" {row['ratio']:.1f}x", va="center", color="#1b3f7d")
    click = next(iter(reports.get("clicks", {}).get("rows", [])), None)
    if click:
        axes.axvline(click["ours"], color="#d9822b", label="one click after it")
    axes.invert_yaxis()
    axes.set_xlabel("ms to open a photo")
    axes.legend(loc="lower right")
    save_picture(figure, path)


def plot_prompt_count(reports: dict[str, Any], path: Path) -> None:
    """Time by number of boxes in one call."""
    plots = import_pyplot()
    rows = reports["prompt_count"]["rows"]
    counts = [int(row["case"].split()[0]) for row in rows]
    figure, axes = plots.subplots(figsize=(7, 3.2), layout="constrained")
    axes.plot(counts, [row["reference"] for row in rows], "o-", color="#8c8c8c", label="segment_anything")
    axes.plot(counts, [row["ours"] for row in rows], "o-", color="#2f6fde", label="here")
    axes.set(xscale="log", yscale="log", xlabel="boxes in one call", ylabel="ms, masks and RLE")
    axes.grid(alpha=0.3)
    axes.legend()
    save_picture(figure, path)


def import_pyplot() -> Any:
    """Imported here: only programs that draw need it."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "repvit-sam", "svg.fonttype": "none"})  # small, and the same each time
    from matplotlib import pyplot

    return pyplot


def save_picture(figure: Any, path: Path) -> None:
    """Write it, the same bytes each time, and print its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    typer.echo(path)


def main(
    results: Annotated[Path, typer.Option(help="folder of the JSON files")] = Path("build/bench"),
    readme: Path = Path("README.md"),
    pictures: Path = Path("docs/pictures"),
) -> None:
    """Write the table into README.md, and the plots of those programs that have results."""
    with report_errors():
        reports = read_reports(results)
        made = table(reports) + pictures_of(reports)
        readme.write_text(put_between(readme.read_text(encoding="utf-8"), made), encoding="utf-8")
        typer.echo(readme)
        if "encode" in reports:
            plot_speed(reports, pictures / "speed.svg")
        if "prompt_count" in reports:
            plot_prompt_count(reports, pictures / "prompt_count.svg")


if __name__ == "__main__":
    typer.run(main)
