"""The page as a visitor has it: the real command, a real server, a real Chromium."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from repvit_sam.app.main import free_port

from ..conftest import PHOTOS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    port = free_port("127.0.0.1", 7900)
    command = [sys.executable, "-m", "repvit_sam.cli", "demo", "--port", str(port)]
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("gradio")), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        line = server.stdout.readline()
        address = re.search(r"http://\S+", line).group()
        for _ in range(100):
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                pass
        yield address
        server.terminate()


@pytest.fixture(scope="module")
def browser():
    if _CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_QUIET)
        yield browser
        browser.close()


class Visitor:
    """A browser window of its own, with no cookies of another."""

    def __init__(self, browser, url):
        self.requested = []
        self.page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto(url)
        self.page.wait_for_selector("#canvas img")

    @property
    def picture(self):
        return self.page.locator("#canvas img").get_attribute("src")

    def click(self, across, down):
        """Click at a share of the picture's width and height; wait for the new picture."""
        image = self.page.locator("#canvas img")
        box = image.bounding_box()
        self.changes(lambda: image.click(position={"x": box["width"] * across, "y": box["height"] * down}))

    def changes(self, action):
        before = self.picture
        action()
        self.page.wait_for_function(
            "before => document.querySelector('#canvas img')?.getAttribute('src') !== before",
            arg=before,
            timeout=60_000,
        )

    def status(self, pattern):
        """Wait until the line under the picture says this."""
        self.page.locator("#status").get_by_text(re.compile(pattern)).wait_for(timeout=60_000)


@pytest.fixture
def visitor(browser, url):
    visitor = Visitor(browser, url)
    yield visitor
    visitor.page.context.close()


def test_a_click_changes_the_picture_and_undo_takes_it_back(visitor):
    visitor.status("451 x 300 pixels")
    visitor.click(0.4, 0.5)
    visitor.status(r"pixels \(\d+.*predicted IoU")
    visitor.changes(lambda: visitor.page.locator("#undo").click())
    visitor.status("Click the object")


def test_two_corners_make_a_box(visitor):
    visitor.page.get_by_label("Box (two corners)").check()
    visitor.click(0.1, 0.05)
    visitor.status("opposite")
    visitor.click(0.9, 0.95)
    visitor.status("predicted IoU")


def test_an_uploaded_photo_is_cut_out_and_taken_away(visitor):
    upload = visitor.page.locator("input[type=file]").first
    visitor.changes(lambda: upload.set_input_files(PHOTOS / "coffee.jpg"))
    visitor.status("600 x 400 pixels")
    visitor.click(0.5, 0.5)
    visitor.page.locator("#take").click()
    with visitor.page.expect_download() as download:
        visitor.page.locator("#files a").first.click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_a_file_that_is_no_picture_gives_a_message_and_keeps_the_page(visitor, tmp_path):
    (tmp_path / "text.jpg").write_text("this is no picture")
    visitor.page.locator("input[type=file]").first.set_input_files(tmp_path / "text.jpg")
    visitor.page.get_by_text("text.jpg is not a picture in a known format").wait_for(timeout=60_000)
    visitor.click(0.4, 0.5)
    visitor.status("predicted IoU")


def test_an_example_is_opened_by_a_click(visitor):
    visitor.changes(lambda: visitor.page.locator("#examples img").nth(2).click())
    visitor.status("512 x 512 pixels")


def test_two_visitors_side_by_side_have_their_own_clicks(visitor, browser, url):
    other = Visitor(browser, url)
    visitor.click(0.4, 0.5)
    other.click(0.7, 0.5)
    other.click(0.1, 0.1)
    visitor.changes(lambda: visitor.page.locator("#undo").click())
    visitor.status("Click the object")  # one click of his own, none of the other's
    other.changes(lambda: other.page.locator("#undo").click())
    other.status("predicted IoU")
    other.page.context.close()


def test_nothing_is_asked_of_the_internet(visitor, url):
    visitor.click(0.4, 0.5)
    assert [address for address in visitor.requested if not address.startswith((url, "data:", "blob:"))] == []
