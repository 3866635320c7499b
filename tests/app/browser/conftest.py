"""The page as a visitor has it: the real command, a real server, a real Chromium.

Each process that runs these tests starts one server and one browser. Screenshots of every state are kept in
build/screenshots.
"""

import io
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import repvit_sam
from repvit_sam.app.main import free_port

from ...conftest import PHOTOS

SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"
CUP = (300, 200)
CUP_BOX = (165, 5, 430, 290)

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_TIMEOUT = 30_000  # milliseconds
_COMMAND = [sys.executable, "-c", "from repvit_sam.cli import main; main()"]  # what the script repvit-sam does
_FIRST_PORT = 20_000 + os.getpid() % 10_000  # test processes side by side must not choose the same one


class Server:
    """`repvit-sam demo` in its own process. It can be stopped and started again on the same port."""

    def __init__(self, folder):
        self.port = free_port("127.0.0.1", _FIRST_PORT)
        self.url = f"http://127.0.0.1:{self.port}/"
        self._environment = {**os.environ, "GRADIO_TEMP_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
        self.start()

    def start(self):
        command = [*_COMMAND, "demo", "--port", str(self.port), "--checkpoint", "small", "--engine", "torch"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self._environment)
        assert self.url.rstrip("/") in self._process.stdout.readline()
        urllib.request.urlopen(self.url, timeout=30).close()

    def stop(self):
        self._process.terminate()  # not SIGINT, which shells let their background jobs ignore
        self._process.wait(20)


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("gradio"))
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
    """A browser window with its own storage; with a context of its own, as another browser would be."""

    def __init__(self, browser, server, context=None, **options):
        self._own_context = None if context else browser.new_context(**{**DESKTOP, **options})
        self.context = context or self._own_context
        self.page = self.context.new_page()
        self.page.set_default_timeout(_TIMEOUT)
        self.requested, self.complaints = [], []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
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
        self.page.close()
        if self._own_context:
            self._own_context.close()
        assert self.complaints == []

    def screenshot(self, name):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture(scope="package")
def desktop(browser):
    """Where most tests open their window: a browser that has the page's scripts in its cache from the first on."""
    context = browser.new_context(**DESKTOP)
    yield context
    context.close()


@pytest.fixture
def visitor(browser, server, desktop):
    visitor = Visitor(browser, server, desktop)
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
def predictor():
    predictor = repvit_sam.SamPredictor(repvit_sam.load("small", "cpu"))
    predictor.set_image(PHOTOS / "coffee.jpg")
    return predictor


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def read_png(data):
    return np.array(Image.open(io.BytesIO(data)))
