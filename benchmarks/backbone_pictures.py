"""The pictures of docs/backbone.md that are drawn from figures, and the one of the blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from publish import import_pyplot, save_picture

GREY, BLUE, ORANGE, GREEN = "#c9c9c9", "#2f6fde", "#d9822b", "#3a9d6e"
_PLACES, _CHANNELS = "#f6ddc0", "#cfdcf6"  # what mixes places, what mixes channels


def plot_variants(report: dict[str, Any], path: Path) -> None:
    """Milliseconds of each network at the largest size, as it is trained and fused."""
    plots = import_pyplot()
    largest = max(report["settings"]["batches"], key=int)
    rows = [row for row in report["rows"] if f", {largest} px" in row["case"]]
    figure, axes = plots.subplots(figsize=(7, 0.42 * len(rows) + 1.2), layout="constrained")
    names = [row["case"].split(",")[0] for row in rows]
    axes.barh(names, [row["reference"] for row in rows], color=GREY, label="as it is trained")
    axes.barh(names, [row["ours"] for row in rows], height=0.5, color=BLUE, label="fused")
    for number, row in enumerate(rows):
        axes.text(max(row["ours"], row["reference"]), number, f" {row['ratio']:.2f}x", va="center")
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel(f"ms for a photo of {largest} pixels, {_threads(report)}")
    axes.legend(loc="lower right")
    save_picture(figure, path)


def plot_design(report: dict[str, Any], path: Path) -> None:
    """Each step's time as a share of the first's, here and on the paper's iPhone; beside it the paper's accuracy."""
    plots = import_pyplot()
    steps, rows = report["settings"]["steps"], report["rows"]
    figure, (times, top1) = plots.subplots(
        1, 2, figsize=(10, 4.6), layout="constrained", sharey=True, width_ratios=(3, 2)
    )
    places = range(len(rows))
    phone = [step["iphone_ms"] / steps[0]["iphone_ms"] for step in steps]
    here = [row["ours"] / rows[0]["ours"] for row in rows]
    times.barh([place - 0.2 for place in places], phone, height=0.38, color=ORANGE, label="iPhone 12 (paper)")
    times.barh([place + 0.2 for place in places], here, height=0.38, color=BLUE, label="CPU, measured here")
    for place, step, row in zip(places, steps, rows, strict=True):
        times.text(0.02, place - 0.2, f"{step['iphone_ms']:.2f} ms", va="center", fontsize=8)
        times.text(0.02, place + 0.2, f"{row['ours']:.1f} ms", va="center", fontsize=8, color="white")
    times.axvline(1, color="#555555", linewidth=0.8)
    times.set(xlabel="time, MobileNetV3-L = 1", yticks=list(places), yticklabels=[row["case"] for row in rows])
    times.legend(loc="upper center", bbox_to_anchor=(0.5, 1.13), ncols=2, frameon=False)
    known = [(place, step["top1"]) for place, step in zip(places, steps, strict=True) if step["top1"] is not None]
    top1.plot([value for _, value in known], [place for place, _ in known], "o-", color=GREEN)
    for place, value in known:
        top1.text(value + 0.3, place, f"{value:.1f}", va="center", fontsize=8)
    top1.set(xlabel="ImageNet top-1, percent (paper)", xlim=(67, 79.5))
    top1.grid(axis="x", alpha=0.3)
    times.invert_yaxis()
    save_picture(figure, path)


def draw_blocks(path: Path) -> None:
    """MobileNetV3's block, RepViT's as it is trained, and RepViT's in use; bottom to top."""
    plots = import_pyplot()
    figure, axes = plots.subplots(figsize=(9.5, 5.4), layout="constrained")
    _draw_mobilenet(axes, x=1.6)
    _draw_repvit(axes, x=5.6, trained=True)
    _draw_repvit(axes, x=9.3, trained=False)
    for x, title in ((1.6, "MobileNetV3"), (5.6, "RepViT, trained"), (9.3, "RepViT, in use")):
        axes.text(x, 7.5, title, ha="center", fontsize=12, weight="bold")
    for x, colour, text in ((2.9, _PLACES, "mixes places (tokens)"), (6.4, _CHANNELS, "mixes channels")):
        axes.add_patch(plots.Rectangle((x, -0.75), 0.35, 0.3, color=colour))
        axes.text(x + 0.5, -0.6, text, va="center")
    axes.set(xlim=(-0.2, 11), ylim=(-0.9, 7.9))
    axes.set_axis_off()
    save_picture(figure, path)


def _draw_mobilenet(axes: Any, x: float) -> None:
    _skip(axes, x, start=0.25, end=6.6)
    _arrow(axes, x, 0, 0.8)
    _box(axes, x, 1.1, "1x1, C to 6C", _CHANNELS)
    _arrow(axes, x, 1.4, 2.2)
    _box(axes, x, 2.5, "3x3 or 5x5 depthwise", _PLACES)
    _arrow(axes, x, 2.8, 3.6)
    _box(axes, x, 3.9, "squeeze-and-excitation", _PLACES)
    _arrow(axes, x, 4.2, 5.0)
    _box(axes, x, 5.3, "1x1, 6C to C", _CHANNELS)
    _arrow(axes, x, 5.6, 6.45)
    _sum(axes, x, 6.6)


def _draw_repvit(axes: Any, x: float, trained: bool) -> None:
    if trained:
        for place, text in ((x - 1.15, "3x3\ndepthwise"), (x, "1x1\ndepthwise"), (x + 1.15, "identity")):
            axes.plot([x, place, place], [0.15, 0.3, 0.5], color="#444444", lw=1)
            _box(axes, place, 0.85, text, _PLACES if text != "identity" else "white", width=1.05, height=0.7)
            axes.plot([place, place, x], [1.2, 1.4, 1.55], color="#444444", lw=1)
        _arrow(axes, x, -0.1, 0.15, head=False)
        _sum(axes, x, 1.7)
    else:
        _arrow(axes, x, 0, 0.5)
        _box(axes, x, 0.85, "3x3 depthwise", _PLACES)
        _arrow(axes, x, 1.15, 1.6, head=False)
    _arrow(axes, x, 1.85 if trained else 1.6, 2.2)
    _box(axes, x, 2.5, "squeeze-and-excitation\n(every other block)", _PLACES, height=0.7)
    _skip(axes, x, start=3.05, end=6.6)
    _arrow(axes, x, 2.85, 3.6)
    _box(axes, x, 3.9, "1x1, C to 2C", _CHANNELS)
    _arrow(axes, x, 4.2, 5.0)
    _box(axes, x, 5.3, "1x1, 2C to C", _CHANNELS)
    _arrow(axes, x, 5.6, 6.45)
    _sum(axes, x, 6.6)


def _box(axes: Any, x: float, y: float, text: str, colour: str, width: float = 2.2, height: float = 0.6) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner = (x - width / 2, y - height / 2)
    axes.add_patch(
        FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.1", fc=colour, ec="#444")
    )
    axes.text(x, y, text, ha="center", va="center", fontsize=9)


def _arrow(axes: Any, x: float, start: float, end: float, head: bool = True) -> None:
    style = {"arrowstyle": "-|>" if head else "-", "color": "#444444", "lw": 1, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (x, end), (x, start), arrowprops=style)


def _skip(axes: Any, x: float, start: float, end: float) -> None:
    """The way around, on the left."""
    left = x - 1.45
    axes.plot([x, left, left, x - 0.15], [start, start, end, end], color="#444444", lw=1)


def _sum(axes: Any, x: float, y: float) -> None:
    axes.text(x, y, "+", ha="center", va="center", bbox={"boxstyle": "circle,pad=0.15", "fc": "white", "ec": "#444444"})


def _threads(report: dict[str, Any]) -> str:
    machine = report["machine"]
    return f"{machine['gpu'] or machine['processor']}, threads: {machine['threads']}"
