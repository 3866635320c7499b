"""Compare the page's masks with Python's, by clicks and drags in a real Chromium.

python examples/browser/check.py onnx/ --checkpoint small --screenshot build/browser.png
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from serve import RUNTIME, make_server

import repvit_sam
from repvit_sam.masks import best_mask

CLICK = (300.0, 200.0)  # in pixels of coffee.jpg: the cup
CORRECTION = (240.0, 250.0)
DRAG = (170.0, 12.0, 425.0, 282.0)


class Page:
    """The example's page in Chromium; places are in pixels of the photo."""

    def __init__(self, browser: Any, url: str) -> None:
        self.errors: list[str] = []
        self.page = browser.new_page(viewport={"width": 1000, "height": 800})
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.page.goto(url)
        self._wait_for("Encoded in")

    def status(self) -> str:
        return self.page.locator("#status").inner_text()

    def click(self, x: float, y: float, key: str | None = None) -> np.ndarray:
        if key:
            self.page.keyboard.down(key)
        self.page.mouse.click(*self._on_screen(x, y))
        if key:
            self.page.keyboard.up(key)
        return self._mask()

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
        self.page.mouse.move(*self._on_screen(x0, y0))
        self.page.mouse.down()
        self.page.mouse.move(*self._on_screen(x1, y1), steps=5)
        self.page.mouse.up()
        return self._mask()

    def _mask(self) -> np.ndarray:
        """(H, W) bool, read off the overlay."""
        self._wait_for("Mask in")
        read = """() => {
            const canvas = document.getElementById('mask'), context = canvas.getContext('2d');
            const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
            const bits = Array.from({ length: data.length / 4 }, (_, i) => +(data[4 * i + 3] > 0));
            return [canvas.height, canvas.width, bits.join('')];
        }"""
        height, width, bits = self.page.evaluate(read)
        return (np.frombuffer(bits.encode(), np.uint8) == ord("1")).reshape(height, width)

    def _on_screen(self, x: float, y: float) -> tuple[float, float]:
        box = self.page.locator("#photo").bounding_box()
        width, height = self.page.evaluate("() => [photo.width, photo.height]")
        return box["x"] + x * box["width"] / width, box["y"] + y * box["height"] / height

    def _wait_for(self, text: str) -> None:
        self.page.wait_for_function(
            "text => /^That failed|^" + text + "/.test(document.getElementById('status').textContent)", arg=text
        )
        if self.status().startswith("That failed"):
            raise RuntimeError(f"{self.status()} {' '.join(self.errors)}")


def main(
    export: Annotated[Path, typer.Argument(help="a folder of repvit-sam export onnx")],
    checkpoint: Annotated[str, typer.Option(help="what was exported")] = "small",
    runtime: Annotated[Path, typer.Option(help="onnxruntime-web's dist")] = RUNTIME,
    screenshot: Annotated[Path | None, typer.Option(help="a picture of the page, .png")] = None,
) -> None:
    """IoU between masks of the page and masks of SamPredictor with PyTorch; fails below 0.99."""
    from playwright.sync_api import sync_playwright

    canvas = json.loads((export / "manifest.json").read_text())["files"]["encoder.onnx"]["canvas"]
    predictor = repvit_sam.SamPredictor(repvit_sam.load(checkpoint, device="cpu", canvas=canvas))
    predictor.set_image(repvit_sam.example_photo("coffee"))
    masks, ious, _ = predictor.predict([CLICK], [1])
    expected = {
        "a click": masks[best_mask(ious)],
        "another with Alt": predictor.predict([CLICK, CORRECTION], [1, 0], multimask_output=False)[0][0],
        "a drag": predictor.predict(box=DRAG, multimask_output=False)[0][0],
    }
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    server = make_server(export, runtime)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    least = 1.0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = Page(browser, f"http://127.0.0.1:{server.server_address[1]}/")
        typer.echo(f"{browser.version}: {page.status()}")
        actions = {
            "a click": lambda: page.click(*CLICK),
            "another with Alt": lambda: page.click(*CORRECTION, key="Alt"),
            "a drag": lambda: page.drag(*DRAG),
        }
        for name, act in actions.items():
            found = act()
            iou = (found & expected[name]).sum() / (found | expected[name]).sum()
            least = min(least, float(iou))
            typer.echo(f"{name}: {found.sum()} pixels, IoU {iou:.4f} with Python. {page.status()}")
        if screenshot:
            screenshot.parent.mkdir(parents=True, exist_ok=True)
            page.page.screenshot(path=str(screenshot))
        for error in page.errors:
            typer.echo(f"the page says: {error}", err=True)
        browser.close()
    server.shutdown()
    if least < 0.99 or page.errors:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
