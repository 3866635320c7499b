"""Latency of the page: from a click to the new mask on the screen, and to the preview under the mouse.

    repvit-sam demo --port 7860 &
    python benchmarks/page.py --url http://127.0.0.1:7860

Drives the page with Playwright and the machine's Chromium, and reads the times that the page itself measures: from the
pointer event until the mask is drawn.
"""

from __future__ import annotations

import random
import shutil
import statistics
from typing import Annotated, Any

import typer

from repvit_sam.console import report_errors

_ROOT = "document.querySelector('.rs')"


def clicks(page: Any, count: int, chance: random.Random) -> list[float]:
    """Milliseconds of single clicks at random places, each on a photo without prompts."""
    times = []
    for _ in range(count):
        page.keyboard.press("Escape")
        page.wait_for_timeout(150)
        before = int(page.evaluate(f"{_ROOT}.dataset.clicks"))
        page.mouse.click(*_place(page, chance))
        page.wait_for_function(f"before => Number({_ROOT}.dataset.clicks) > before", arg=before)
        times.append(float(page.evaluate(f"{_ROOT}.dataset.clickMs")))
    return times


def hovers(page: Any, count: int, chance: random.Random) -> list[float]:
    """Milliseconds of previews; the mouse stands still until each is drawn."""
    page.keyboard.press("Escape")
    page.locator('[data-part="hover-switch"]').check()
    times = []
    for _ in range(count):
        before = int(page.evaluate(f"{_ROOT}.dataset.hovers"))
        page.mouse.move(*_place(page, chance))
        page.wait_for_function(f"before => Number({_ROOT}.dataset.hovers) > before", arg=before)
        times.append(float(page.evaluate(f"{_ROOT}.dataset.hoverMs")))
        page.wait_for_timeout(100)
    return times


def _place(page: Any, chance: random.Random) -> tuple[float, float]:
    debug = page.evaluate(f"{_ROOT}.rsDebug()")
    stage, view = page.locator('[data-part="stage"]').bounding_box(), debug["transform"]
    x, y = chance.uniform(5, debug["width"] - 5), chance.uniform(5, debug["height"] - 5)
    return stage["x"] + view["x"] + x * view["scale"], stage["y"] + view["y"] + y * view["scale"]


def main(
    url: Annotated[str, typer.Option(help="a running page")] = "http://127.0.0.1:7860",
    count: Annotated[int, typer.Option(help="clicks, and previews")] = 20,
) -> None:
    """Medians and slowest, in milliseconds."""
    with report_errors():
        from playwright.sync_api import sync_playwright

        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(url)
            page.wait_for_function(f"{_ROOT}?.dataset.state === 'ready'")
            page.locator('[data-part="hover-switch"]').uncheck()  # a preview would know the click's answer already
            chance = random.Random(0)
            for name, times in (("click", clicks(page, count, chance)), ("hover", hovers(page, count, chance))):
                typer.echo(f"{name}: median {statistics.median(times):.0f} ms, slowest {max(times):.0f}, of {count}")
            typer.echo(page.locator('[data-part="figures"]').inner_text())
            browser.close()


if __name__ == "__main__":
    typer.run(main)
