"""The moving picture of the page in the README: python examples/page_picture.py URL docs/pictures/page.webp

Drives a page that is running (`repvit-sam demo`) with Playwright and the machine's Chromium; a frame a step.
"""

import io
import shutil
import sys

from PIL import Image
from playwright.sync_api import Page, sync_playwright

WIDTH, HEIGHT = 1120, 700
SECONDS_A_FRAME = 1.4
SPOON = (370, 285)  # photo pixels


class Filmed:
    """A page, and a frame after every step."""

    def __init__(self, page: Page) -> None:
        self.page, self.frames = page, []

    def at(self, test: str):
        return self.page.locator(f'[data-part="{test}"]')

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Photo pixels -> a place on the window."""
        transform = self.page.evaluate("document.querySelector('.rs').rsDebug().transform")
        stage = self.at("stage").bounding_box()
        return stage["x"] + transform["x"] + x * transform["scale"], stage["y"] + transform["y"] + y * transform[
            "scale"
        ]

    def step(self) -> None:
        self.page.wait_for_function("document.querySelector('.rs').dataset.state === 'ready'")
        self.page.wait_for_timeout(600)
        self.frames.append(Image.open(io.BytesIO(self.page.screenshot())))


def film(page: Page) -> list[Image.Image]:
    filmed = Filmed(page)
    filmed.at("example-coffee").click()
    page.wait_for_function("document.querySelector('.rs').rsDebug().width === 600")
    filmed.at("hover-switch").check()
    filmed.step()
    page.mouse.move(*filmed.place(*SPOON), steps=4)
    filmed.step()
    page.mouse.click(*filmed.place(*SPOON))
    filmed.step()
    page.keyboard.press("Enter")
    filmed.step()
    return filmed.frames


def main(url: str, result_path: str) -> None:
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(url)
        page.wait_for_function("document.querySelector('.rs')?.dataset.state === 'ready'")
        first, *rest = film(page)
        browser.close()
    first.save(
        result_path,
        save_all=True,
        append_images=rest,
        duration=int(1000 * SECONDS_A_FRAME),
        loop=0,
        quality=80,
        method=6,
    )
    print(result_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
