"""Compare the page's masks with Python's, and time two visits: clicks and drags in Chromium.

python examples/browser/check.py build/site --screenshot build/browser.png
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from serve import make_server

import repvit_sam
from repvit_sam.masks import Mask, best_mask
from repvit_sam.rle import decode_rle

CLICK = (300.0, 200.0)  # in pixels of the example photo coffee.jpg: the cup
CORRECTION = (240.0, 250.0)
DRAG = (170.0, 12.0, 425.0, 282.0)
_TIMEOUT = 120_000  # milliseconds


class Visit:
    """The page in a window of its own; coordinates are in pixels of the photo.

    Attributes:
        ready_s, first_mask_s: seconds from opening the page until the first example is encoded, and until a click on
            it is answered.
    """

    def __init__(self, context: Any, url: str) -> None:
        self.errors: list[str] = []
        self.page = context.new_page()
        self.page.set_default_timeout(_TIMEOUT)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        started = time.perf_counter()
        self.page.goto(url)
        self._wait_until("['ready', 'failed'].includes(document.querySelector('.rs')?.dataset.state)")
        self.ready_s = time.perf_counter() - started
        if self.page.locator(".rs").get_attribute("data-state") == "failed":
            raise RuntimeError(self.text("status"))
        self.click(*CLICK)
        self.first_mask_s = time.perf_counter() - started

    def open_example(self, name: str) -> None:
        self.page.locator(f'[data-part="example-{name}"]').click()
        self._wait_until(f"document.querySelector('[data-part=status]').textContent.startsWith('{name}.jpg')")

    def click(self, x: float, y: float, button: str = "left") -> None:
        clicks = self._clicks()
        self.page.mouse.click(*self._on_screen(x, y), button=button)
        self._wait_until(f"Number(document.querySelector('.rs').dataset.clicks) > {clicks}")

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> None:
        clicks = self._clicks()
        self.page.mouse.move(*self._on_screen(x0, y0))
        self.page.mouse.down()
        self.page.mouse.move(*self._on_screen(x1, y1), steps=5)
        self.page.mouse.up()
        self._wait_until(f"Number(document.querySelector('.rs').dataset.clicks) > {clicks}")

    def clear(self) -> None:
        self.page.keyboard.press("Escape")

    def mask(self) -> Mask:
        """(H, W) bool, from the COCO file of the current object."""
        with self.page.expect_download() as download:
            self.page.locator('[data-part="download-coco"]').click()
        dataset = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
        return decode_rle(dataset["annotations"][0]["segmentation"])

    def text(self, part: str) -> str:
        return self.page.locator(f'[data-part="{part}"]').inner_text()

    def _clicks(self) -> int:
        return int(self.page.evaluate("document.querySelector('.rs').dataset.clicks"))

    def _on_screen(self, x: float, y: float) -> tuple[float, float]:
        box = self.page.locator('[data-part="stage"]').bounding_box()
        at = self.page.evaluate("document.querySelector('.rs').rsDebug().transform")
        return box["x"] + at["x"] + x * at["scale"], box["y"] + at["y"] + y * at["scale"]

    def _wait_until(self, condition: str) -> None:
        self.page.wait_for_function(f"() => {condition}")


def expected_masks(checkpoint: str, canvas: int) -> dict[str, Mask]:
    """Python's masks of the three prompts, by PyTorch."""
    predictor = repvit_sam.SamPredictor(repvit_sam.load(checkpoint, device="cpu", canvas=canvas))
    predictor.set_image(repvit_sam.example_photo("coffee"))
    masks, ious, low_res_logits = predictor.predict([CLICK], [1])
    best = best_mask(ious)
    corrected, *_ = predictor.predict(
        [CLICK, CORRECTION], [1, 0], mask_input=low_res_logits[best : best + 1], multimask_output=False
    )
    boxed, *_ = predictor.predict(box=DRAG, multimask_output=False)
    return {"a click": masks[best], "a background point": corrected[0], "a box": boxed[0]}


def found_masks(visit: Visit) -> dict[str, Mask]:
    """The page's masks of the same prompts."""
    found = {}
    visit.open_example("coffee")
    visit.click(*CLICK)
    found["a click"] = visit.mask()
    visit.click(*CORRECTION, button="right")
    found["a background point"] = visit.mask()
    visit.clear()
    visit.drag(*DRAG)
    found["a box"] = visit.mask()
    return found


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / np.maximum((a | b).sum(), 1))


def main(
    site: Annotated[Path, typer.Argument(help="folder written by build.py")],
    settings: Annotated[str, typer.Option(help="of the page's address, such as engine=wasm&threads=1")] = "",
    screenshot: Annotated[Path | None, typer.Option(help="save a picture of the page as this .png")] = None,
) -> None:
    """Print times of two visits and the IoU with PyTorch's masks; exit with 1 if one is below 0.95."""
    from playwright.sync_api import sync_playwright

    description = json.loads((site / "site.json").read_text(encoding="utf-8"))
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    server = make_server(site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/?{settings}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
        errors = []
        for name in ("first visit", "second visit"):
            visit = Visit(context, url)
            typer.echo(f"{name}: ready in {visit.ready_s:.1f} s, first mask in {visit.first_mask_s:.1f} s")
            typer.echo(f"  {visit.text('figures')}")
            errors += visit.errors
        found = found_masks(visit)
        typer.echo(f"Chromium {browser.version}: {visit.text('figures')}")
        if screenshot:
            screenshot.parent.mkdir(parents=True, exist_ok=True)
            visit.page.screenshot(path=str(screenshot))
        browser.close()
    server.shutdown()
    expected = expected_masks(description["about"]["checkpoint"], description["canvas"])
    agreement = {name: iou(found[name], mask) for name, mask in expected.items()}
    for name, value in agreement.items():
        typer.echo(f"{name}: IoU {value:.4f} with Python")
    for error in errors:
        typer.echo(f"error on the page: {error}", err=True)
    if min(agreement.values()) < 0.95 or errors:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
