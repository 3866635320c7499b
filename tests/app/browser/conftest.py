"""The page as a visitor has it: the real command, a real server, a real Chromium.

Each process that runs these tests starts one server and one browser. Screenshots of every state are kept in
build/screenshots.
"""

import io
import os
import shutil
import signal
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import repvit_sam
from repvit_sam.app.main import free_port

from ...conftest import PHOTOS
from ...processes import Command

SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"
CUP = (300, 200)
CUP_BOX = (165, 5, 430, 290)

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_TIMEOUT = 30_000  # milliseconds
FIRST_PORT = 20_000 + os.getpid() % 10_000  # test processes side by side must not choose the same one


class Server:
    """`repvit-sam` with these words, in its own process. It can be stopped and started again on the same port."""

    def __init__(self, port, *words, **environment):
        self.port = free_port("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self.port}/"
        self._words, self._environment = [*words, "--port", self.port, "--engine", "torch"], environment
        self.start()

    def start(self):
        self._command = Command(*self._words, environment=self._environment)
        assert self.url.rstrip("/") in self._command.stdout.readline()
        urllib.request.urlopen(self.url, timeout=30).close()

    def stop(self):
        self._end(signal.SIGTERM)  # not SIGINT, which shells let their background jobs ignore

    def kill(self):
        self._end(signal.SIGKILL)

    def _end(self, number):
        self._command.send_signal(number)
        self._command.wait(20)


@pytest.fixture(scope="package")
def server(tmp_path_factory, light_checkpoint):
    folder = str(tmp_path_factory.mktemp("gradio"))
    server = Server(FIRST_PORT, "demo", "--checkpoint", light_checkpoint, GRADIO_TEMP_DIR=folder)
    yield server
    server.stop()


@pytest.fixture(scope="package")  # not session: while Playwright runs, other tests cannot use asyncio.run
def browser():
    if _CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_QUIET)
        yield browser
        browser.close()


DESKTOP = {"viewport": {"width": 1280, "height": 900}, "accept_downloads": True}


class Visitor:
    """A browser window with its own storage.

    Args:
        tab: a window to take over, empty: it need not be made, nor the page's scripts be compiled again, which takes
            most of the time that a page takes to open. Without it a new one in a context of its own, as another browser
            would be.
        options: of that context.
    """

    def __init__(self, browser, server, tab=None, **options):
        self._own_context = None if tab else browser.new_context(**{**DESKTOP, **options})
        self.page = tab or self._own_context.new_page()
        self.page.set_default_timeout(_TIMEOUT)
        self._server = server
        self.requested, self.complaints = [], []
        self._listeners = {
            "request": lambda request: self.requested.append(request.url),
            "pageerror": lambda error: self.complaints.append(str(error)),
        }
        for event, listener in self._listeners.items():
            self.page.on(event, listener)
        self.page.goto(server.url)
        self.state("ready")

    def at(self, part):
        return self.page.locator(f'[data-part="{part}"]')

    def state(self, *states):
        self.page.wait_for_function(
            "states => states.includes(document.querySelector('.rs')?.dataset.state)", arg=list(states)
        )

    def status(self, pattern):
        self.page.wait_for_function(
            "text => new RegExp(text).test(document.querySelector('[data-part=status]').textContent)", arg=pattern
        )

    @property
    def document(self):
        return self.page.evaluate("document.querySelector('.rs').rsDebug()")

    def figure(self, name):
        value = self.page.evaluate(f"document.querySelector('.rs').dataset.{name}")
        return float(value or 0)

    def place(self, x, y):
        """Photo pixels -> a place on the window."""
        transform, box = self.document["transform"], self.at("stage").bounding_box()
        return box["x"] + transform["x"] + x * transform["scale"], box["y"] + transform["y"] + y * transform["scale"]

    def answered(self, action):
        """Do something and wait until its masks are drawn."""
        before = self.figure("clicks")
        action()
        self.page.wait_for_function(
            "before => Number(document.querySelector('.rs').dataset.clicks || 0) > before", arg=before
        )
        self.state("ready")

    def click(self, x, y, **options):
        self.answered(lambda: self.page.mouse.click(*self.place(x, y), **options))

    def drag(self, x0, y0, x1, y1):
        self.page.mouse.move(*self.place(x0, y0))
        self.page.mouse.down()
        self.page.mouse.move(*self.place((x0 + x1) / 2, (y0 + y1) / 2))
        self.page.mouse.move(*self.place(x1, y1))
        self.page.mouse.up()

    def open(self, path):
        self.at("file").set_input_files(path)
        self.status(f"^{path.name}, .* pixels")
        self.state("ready")

    def download(self, part):
        with self.page.expect_download() as download:
            self.at(part).click()
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()

    def leave(self):
        if self._own_context:
            self._own_context.close()
        else:
            for event, listener in self._listeners.items():
                self.page.remove_listener(event, listener)
            self.page.goto(f"{self._server.url}theme.css")  # of the same server: whose storage is cleared
            self.page.evaluate("sessionStorage.clear()")
            self.page.emulate_media(color_scheme="no-override")
            self.page.set_viewport_size(DESKTOP["viewport"])
        assert self.complaints == []

    def screenshot(self, name):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture(scope="package")
def tab(browser):
    """The window of most tests, each of which finds it empty."""
    context = browser.new_context(**DESKTOP)
    yield context.new_page()
    context.close()


@pytest.fixture
def visitor(browser, server, tab):
    visitor = Visitor(browser, server, tab)
    yield visitor
    visitor.leave()


@pytest.fixture
def on_coffee(visitor):
    """The example photo: encoded once for all tests. Uploads are tested in test_files.py."""
    visitor.at("examples").locator("button").nth(1).click()
    visitor.status("^coffee.jpg, .* pixels")
    visitor.state("ready")
    return visitor


@pytest.fixture(scope="package")
def predictor(light_checkpoint):
    predictor = repvit_sam.SamPredictor(repvit_sam.load(light_checkpoint, "cpu"))
    predictor.set_image(PHOTOS / "coffee.jpg")
    return predictor


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def read_png(data):
    return np.array(Image.open(io.BytesIO(data)))
