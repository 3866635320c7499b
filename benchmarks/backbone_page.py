"""The tables of docs/backbone.md and the pictures made of them, from what two programs wrote to build/bench/.

    python benchmarks/backbones.py --json build/bench/backbones.json
    python benchmarks/design.py --json build/bench/design.json
    python benchmarks/backbone_page.py

The tables stand between comments and can be made again, each on its own. The picture of the receptive field is made by
examples/receptive_field.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from backbone_pictures import draw_blocks, plot_design, plot_variants
from networks import NETWORKS, Published
from publish import put_between

from repvit_sam.console import report_errors


def comments(name: str) -> tuple[str, str]:
    """Between which a table stands."""
    return f"<!-- {name}: made by benchmarks/backbone_page.py -->", f"<!-- {name}: end -->"


def machine_line(report: dict[str, Any]) -> str:
    machine, versions = report["machine"], report["versions"]
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    clock = ", processor time" if report["settings"]["cpu_time"] else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores ({', '.join(machine['instructions'])}), threads: "
        f"{machine['threads']}, {machine['ram_gib']} GiB{gpu}, {machine['system']}, torch {versions['torch']}, "
        f"timm {versions['timm']}, {report['settings']['device']}{clock}."
    )


def variants_table(report: dict[str, Any]) -> str:
    """Markdown: parameters and multiply-adds before and after fusing, published beside counted; then the times."""
    counts, batches = report["settings"]["counts"], report["settings"]["batches"]
    sides = list(batches)
    heads = [f"GMAC at {side}" for side in sides]
    lines = [
        "Counted, before -> after fusing; what is published stands in brackets.",
        "",
        f"| | parameters, M | {' | '.join(heads)} | top-1, 300 / 450 epochs | iPhone 12, ms |",
        f"|---|---|{'---|' * len(heads)}---|---|",
    ]
    for name, forms in counts.items():
        known = NETWORKS[name].published
        megaparams = [forms[form]["parameters"] / 1e6 for form in ("unfused", "fused")]
        cells = [f"{megaparams[0]:.2f} -> {megaparams[1]:.2f}{_brackets(known.megaparams)}"]
        for side in sides:
            gmacs = [forms[form]["multiply_adds"][side] / 1e9 for form in ("unfused", "fused")]
            published = known.gmacs if side == "224" else None
            cells.append(f"{gmacs[0]:.2f} -> {gmacs[1]:.2f}{_brackets(published)}")
        lines.append(f"| {name} | {' | '.join(cells)} | {known.top1} | {_phone(name, known)} |")
    lines += ["", f"Measured: {machine_line(report)}", ""]
    heads = [
        f"{side} px, batch {batch}: ms a photo, unfused | fused | ratio | photos/s" for side, batch in batches.items()
    ]
    lines += [f"| | {' | '.join(heads)} |", f"|---|{'---|---|---|---|' * len(heads)}"]
    for name in counts:
        times = [row for row in report["rows"] if row["case"].startswith(f"{name},")]
        cells = [
            f"{row['reference']:.0f} | {row['ours']:.0f} | **{row['ratio']:.2f}** | {1000 / row['ours']:.3g}"
            for row in times
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"    {report['command'].split(' --json')[0]}"])


def design_table(report: dict[str, Any]) -> str:
    """Markdown: a row for each step."""
    settings = report["settings"]
    lines = [
        f"{machine_line(report)} Medians of {settings['rounds']} rounds, all ten in turn, batch {settings['batch']}.",
        "",
        "| | parameters, M | GMAC | ms here | times the first | iPhone 12, ms (paper) | top-1 (paper) |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, (row, step) in enumerate(zip(report["rows"], settings["steps"], strict=True)):
        size = f"{step['parameters'] / 1e6:.2f} | {step['multiply_adds'] / 1e9:.3f}"
        top1 = "" if step["top1"] is None else f"{step['top1']:.1f}"
        share = row["ours"] / report["rows"][0]["ours"]
        lines.append(
            f"| {number} {row['case']} | {size} | {row['ours']:.1f} | {share:.2f} | {step['iphone_ms']:.2f} | {top1} |"
        )
    steps = zip(report["rows"], settings["steps"], strict=True)
    left_open = [f"* {row['case']}: {step['choice']}." for row, step in steps if step["choice"]]
    lines += ["", "What the paper leaves open, and how it is here:", "", *left_open]
    return "\n".join([*lines, "", f"    {report['command'].split(' --json')[0]}"])


def _brackets(published: float | None) -> str:
    return "" if published is None else f" ({_number(published)})"


def _number(value: float) -> str:
    """With one digit after the point, or two where it has two."""
    return f"{value:.1f}" if round(value, 1) == value else f"{value:.2f}"


def _phone(name: str, published: Published) -> str:
    if published.iphone_ms is None:
        return ""
    about = "about " if name == "repvit_m0_6" else ""  # "~0.6ms", as its news says
    return f"{about}{_number(published.iphone_ms)}"


def main(
    results: Annotated[Path, typer.Option(help="folder of the JSON files")] = Path("build/bench"),
    page: Path = Path("docs/backbone.md"),
    pictures: Path = Path("docs/pictures"),
) -> None:
    """Write the tables of those programs that have results, and the pictures."""
    with report_errors():
        makers = {"backbones": (variants_table, plot_variants), "design": (design_table, plot_design)}
        found = {name: results / f"{name}.json" for name in makers if (results / f"{name}.json").is_file()}
        if not found:
            raise ValueError(f"{results} holds no results; run benchmarks/backbones.py or design.py with --json first")
        for name, path in found.items():
            report, (table, plot) = json.loads(path.read_text()), makers[name]
            page.write_text(
                put_between(page.read_text(encoding="utf-8"), table(report), *comments(name)), encoding="utf-8"
            )
            plot(report, pictures / f"backbone_{name}.svg")
        draw_blocks(pictures / "backbone_blocks.svg")
        typer.echo(page)


if __name__ == "__main__":
    typer.run(main)
