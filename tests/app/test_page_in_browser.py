"""The page as a visitor has it: the real command, a real server, a real Chromium.

Screenshots of every state are kept in build/screenshots.
"""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

import repvit_sam
from repvit_sam.app.main import free_port

from ..conftest import PHOTOS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
CUP = (300, 200)
CUP_BOX = (165, 5, 430, 290)

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_PATIENCE = 60_000  # milliseconds


class Server:
    """`repvit-sam demo` in a process of its own, on one port, to be started again."""

    def __init__(self, folder):
        self.port = free_port("127.0.0.1", 7900)
        self.url = f"http://127.0.0.1:{self.port}/"
        self._environment = {**os.environ, "GRADIO_TEMP_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
        self.start()

    def start(self):
        command = [sys.executable, "-m", "repvit_sam.cli", "demo", "--port", str(self.port), "--checkpoint", "small"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self._environment)
        assert self.url.rstrip("/") in self._process.stdout.readline()
        urllib.request.urlopen(self.url, timeout=30).close()

    def stop(self):
        self._process.terminate()  # not SIGINT, which shells let their background jobs ignore
        self._process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("gradio"))
    yield server
    server.stop()


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

    def __init__(self, browser, server, **options):
        options = {"viewport": {"width": 1280, "height": 900}, "accept_downloads": True, **options}
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(_PATIENCE)
        self.requested, self.complaints = [], []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(server.url)
        self.state("ready")

    def at(self, test):
        return self.page.locator(f'[data-test="{test}"]')

    def state(self, *states):
        self.page.wait_for_function(
            "states => states.includes(document.querySelector('.rs')?.dataset.state)", arg=list(states)
        )

    def status(self, pattern):
        self.page.wait_for_function(
            "text => new RegExp(text).test(document.querySelector('[data-test=status]').textContent)", arg=pattern
        )

    @property
    def story(self):
        return self.page.evaluate("document.querySelector('.rs').rsDebug()")

    def figure(self, name):
        value = self.page.evaluate(f"document.querySelector('.rs').dataset.{name}")
        return float(value or 0)

    def place(self, x, y):
        """Photo pixels -> a place on the window."""
        transform, box = self.story["transform"], self.at("stage").bounding_box()
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
        self.status("encoded in")
        self.state("ready")

    def download(self, test):
        with self.page.expect_download() as download:
            self.at(test).click()
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()

    def leave(self):
        self.context.close()
        assert self.complaints == []

    def screenshot(self, name):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture
def visitor(browser, server):
    visitor = Visitor(browser, server)
    yield visitor
    visitor.leave()


@pytest.fixture
def on_coffee(visitor):
    visitor.open(PHOTOS / "coffee.jpg")
    return visitor


@pytest.fixture(scope="module")
def predictor():
    predictor = repvit_sam.SamPredictor(repvit_sam.load("small", "cpu"))
    predictor.set_image(PHOTOS / "coffee.jpg")
    return predictor


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def picture(data):
    return np.array(Image.open(io.BytesIO(data)))


def test_the_page_opens_with_an_example_and_asks_nothing_of_the_internet(visitor, server):
    visitor.screenshot("01_start")
    visitor.click(200, 150)
    visitor.status("predicted IoU")
    assert [url for url in visitor.requested if not url.startswith((server.url, "data:", "blob:"))] == []


def test_hovering_shows_a_mask_before_any_click(on_coffee):
    on_coffee.at("hover-switch").check()  # a busy machine starts with it off
    on_coffee.page.mouse.move(*on_coffee.place(100, 100))
    on_coffee.page.mouse.move(*on_coffee.place(*CUP), steps=5)
    on_coffee.page.wait_for_function("Number(document.querySelector('.rs').dataset.hovers || 0) > 0")
    on_coffee.screenshot("02_hover")
    assert on_coffee.story["chain"] == []


def test_points_of_both_kinds_refine_and_undo_and_redo_go_back_and_forth(on_coffee):
    on_coffee.click(*CUP)
    on_coffee.screenshot("03_click")
    first = on_coffee.download("take-mask")[1]
    on_coffee.click(210, 260, button="right")
    on_coffee.screenshot("04_background")
    refined = on_coffee.download("take-mask")[1]
    chain = on_coffee.story["chain"]
    assert [[label for *_, label in step["points"]] for step in chain] == [[1], [1, 0]]
    assert chain[1]["points"][1][:2] == pytest.approx([210, 260], abs=1.5)
    assert chain[0]["pick"] is not None
    on_coffee.answered(lambda: on_coffee.page.keyboard.press("Control+z"))
    assert len(on_coffee.story["chain"]) == 1
    assert on_coffee.download("take-mask")[1] == first
    on_coffee.answered(lambda: on_coffee.page.keyboard.press("Control+Shift+Z"))
    assert on_coffee.story["chain"] == chain
    assert on_coffee.download("take-mask")[1] == refined


def test_alt_click_and_the_switch_give_background_points(on_coffee):
    on_coffee.click(*CUP)
    on_coffee.page.keyboard.down("Alt")
    on_coffee.click(210, 260)
    on_coffee.page.keyboard.up("Alt")
    on_coffee.at("mode-background").click()
    on_coffee.click(100, 60)
    assert [label for *_, label in on_coffee.story["chain"][-1]["points"]] == [1, 0, 0]


def test_a_dragged_box_and_a_point_work_together(on_coffee):
    on_coffee.answered(lambda: on_coffee.drag(*CUP_BOX))
    on_coffee.screenshot("05_box")
    (step,) = on_coffee.story["chain"]
    assert step["box"] == pytest.approx(CUP_BOX, abs=2)
    on_coffee.click(310, 100)
    assert on_coffee.story["chain"][-1]["box"] == pytest.approx(CUP_BOX, abs=2)
    assert len(on_coffee.story["chain"][-1]["points"]) == 1


def test_a_prompt_is_moved_by_its_handle_and_deleted_by_a_key(on_coffee):
    on_coffee.click(*CUP)
    on_coffee.click(210, 260, button="right")
    on_coffee.answered(lambda: on_coffee.drag(210, 260, 120, 80))
    (step,) = on_coffee.story["chain"]  # moving starts anew from all prompts
    assert step["points"][1] == pytest.approx([120, 80, 0], abs=2)
    on_coffee.answered(lambda: on_coffee.page.keyboard.press("Delete"))
    assert on_coffee.story["chain"][-1]["points"] == [pytest.approx([*CUP, 1], abs=1.5)]


def test_one_of_three_candidates_is_picked_and_taken_away(on_coffee, predictor):
    on_coffee.click(*CUP)
    masks, ious, _ = predictor.predict([on_coffee.story["chain"][0]["points"][0][:2]], [1])
    for pick in (int(ious.argmin()), int(ious.argmax())):
        on_coffee.at(f"thumb-{pick}").click()
        assert on_coffee.at(f"thumb-{pick}").get_attribute("aria-pressed") == "true"
        _, data = on_coffee.download("take-mask")
        assert iou(picture(data) > 0, masks[pick]) >= 0.99
    assert f"{ious.max():.2f}" in on_coffee.at(f"thumb-{int(ious.argmax())}").inner_text()
    on_coffee.page.keyboard.press("1")
    assert on_coffee.at("thumb-0").get_attribute("aria-pressed") == "true"
    on_coffee.screenshot("06_candidates")


def test_every_download_is_the_python_apis_mask(on_coffee, predictor):
    on_coffee.answered(lambda: on_coffee.drag(*CUP_BOX))
    box = on_coffee.story["chain"][0]["box"]
    expected = predictor.predict(box=box, multimask_output=False)[0][0]
    photo = repvit_sam.read_photo(PHOTOS / "coffee.jpg")

    name, data = on_coffee.download("take-mask")
    assert name == "coffee_mask.png"
    assert iou(picture(data) > 0, expected) >= 0.99

    cropped = picture(on_coffee.download("take-cutout")[1])
    assert (cropped[..., 3] > 0).sum() == pytest.approx(expected.sum(), rel=0.01)
    assert cropped.shape[0] < 400

    on_coffee.at("full-size").check()
    whole = picture(on_coffee.download("take-cutout")[1])
    assert whole.shape == (400, 600, 4)
    assert iou(whole[..., 3] > 0, expected) >= 0.99
    np.testing.assert_array_equal(whole[whole[..., 3] > 0][:, :3], photo[whole[..., 3] > 0])

    overlay = picture(on_coffee.download("take-overlay")[1]).astype(int)
    changed = np.abs(overlay - photo).sum(-1) > 12
    assert iou(cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5))) > 0, expected) >= 0.95

    content = json.loads(on_coffee.download("take-coco")[1])
    (annotation,) = content["annotations"]
    assert iou(coco_mask.decode(annotation["segmentation"]) > 0, expected) >= 0.99

    text = on_coffee.download("take-svg")[1].decode()
    corners = [
        np.array([[float(n) for n in xy.split(",")] for xy in path.split("L")])
        for path in re.findall(r"M([^Z]+)Z", text)
    ]
    canvas = np.zeros((400 * 8, 600 * 8), np.uint8)
    cv2.fillPoly(canvas, [(c * 8).round().astype(np.int32) for c in corners], 1)
    drawn = cv2.resize(canvas.astype(np.float32), (600, 400), interpolation=cv2.INTER_AREA) > 0.5
    assert iou(drawn, expected) >= 0.99

    on_coffee.at("code").click()
    on_coffee.page.wait_for_function(
        "document.querySelector('[data-test=code-text]').value.includes('predictor.predict')"
    )
    program = on_coffee.at("code-text").input_value()
    on_coffee.screenshot("07_code")
    made = {}
    here = os.getcwd()
    os.chdir(PHOTOS)
    try:
        exec(program, made)
    finally:
        os.chdir(here)
    (variable,) = re.findall(r"^(\w+) = masks\[pick\]", program, re.M)
    assert iou(made[variable], expected) >= 0.99


def test_two_objects_are_layers_with_names_order_and_colour(on_coffee):
    on_coffee.click(*CUP)
    on_coffee.page.keyboard.press("Enter")
    on_coffee.at("layer").first.wait_for()
    on_coffee.click(100, 330)
    on_coffee.at("keep").click()
    on_coffee.page.wait_for_function("document.querySelectorAll('[data-test=layer]').length === 2")
    on_coffee.at("layer-name").first.fill("table")
    on_coffee.at("layer-name").first.press("Enter")
    names = [layer["name"] for layer in on_coffee.story["layers"]]
    assert "table" in names
    on_coffee.screenshot("08_layers")
    on_coffee.at("layer-down").first.click()
    assert [layer["name"] for layer in on_coffee.story["layers"]] == names[::-1]
    content = json.loads(on_coffee.download("take-coco")[1])
    assert len(content["annotations"]) == 2
    assert "table" in [category["name"] for category in content["categories"]]
    on_coffee.at("layer-delete").first.click()
    on_coffee.page.wait_for_function("document.querySelectorAll('[data-test=layer]').length === 1")
    on_coffee.at("undo").click()
    on_coffee.page.wait_for_function("document.querySelectorAll('[data-test=layer]').length === 2")


def test_everything_finds_masks_one_of_which_becomes_a_layer(on_coffee):
    on_coffee.page.locator(".rs-everything summary").click()
    on_coffee.at("slider-points").fill("6")
    on_coffee.at("everything-run").click()
    on_coffee.status(r"\d+ masks in")
    on_coffee.screenshot("09_everything")
    on_coffee.page.mouse.click(*on_coffee.place(*CUP))
    on_coffee.at("layer").first.wait_for()
    on_coffee.at("everything-dismiss").click()
    on_coffee.state("ready")
    assert len(on_coffee.story["layers"]) == 1


def test_everything_can_be_cancelled_on_the_way(on_coffee):
    on_coffee.page.locator(".rs-everything summary").click()
    on_coffee.at("slider-points").fill("32")
    on_coffee.at("stage").focus()
    on_coffee.page.keyboard.press("a")
    on_coffee.state("everything")
    on_coffee.page.wait_for_timeout(1500)
    on_coffee.screenshot("10_everything_running")
    on_coffee.at("everything-cancel").click()
    on_coffee.state("ready")
    on_coffee.click(*CUP)
    assert on_coffee.figure("everything") == 0


def test_two_visitors_side_by_side_never_see_each_others_photo(visitor, browser, server):
    other = Visitor(browser, server)
    visitor.open(PHOTOS / "coffee.jpg")
    other.open(PHOTOS / "rocket.jpg")
    visitor.click(*CUP)
    other.click(320, 200)
    other.click(100, 100, button="right")
    mine, theirs = visitor.story, other.story
    assert (mine["width"], mine["height"]) == (600, 400)
    assert (theirs["width"], theirs["height"]) == (640, 427)
    assert mine["photo"] != theirs["photo"]
    assert len(mine["chain"][-1]["points"]) == 1
    assert len(theirs["chain"][-1]["points"]) == 2
    other.leave()


def test_a_reload_keeps_photo_prompts_and_layers(on_coffee):
    on_coffee.click(*CUP)
    on_coffee.page.keyboard.press("Enter")
    on_coffee.at("layer").first.wait_for()
    on_coffee.click(100, 330)
    before = on_coffee.story
    on_coffee.page.reload()
    on_coffee.state("ready")
    on_coffee.page.wait_for_function("Number(document.querySelector('.rs').dataset.clicks || 0) > 0")
    after = on_coffee.story
    assert after["photo"] == before["photo"]
    assert after["chain"] == before["chain"]
    assert [layer["name"] for layer in after["layers"]] == [layer["name"] for layer in before["layers"]]


def test_a_file_that_is_no_picture_gives_a_message_and_keeps_the_page(on_coffee, tmp_path):
    (tmp_path / "text.jpg").write_text("this is no picture")
    on_coffee.at("file").set_input_files(tmp_path / "text.jpg")
    on_coffee.page.get_by_text(re.compile("text.jpg.*is not a picture|not a picture")).first.wait_for()
    on_coffee.screenshot("11_no_picture")
    on_coffee.state("ready")
    on_coffee.click(*CUP)


def test_a_dropped_and_a_pasted_photo_are_opened(visitor):
    data = base64.b64encode((PHOTOS / "rocket.jpg").read_bytes()).decode()
    send = """([data, kind]) => {
        const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], 'rocket.jpg', {type: 'image/jpeg'}));
        const target = document.querySelector('[data-test=stage]');
        target.dispatchEvent(kind === 'drop'
            ? new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true})
            : new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true, cancelable: true}));
    }"""
    for kind in ("drop", "paste"):
        visitor.at("example-coffee").click()
        visitor.page.wait_for_function("document.querySelector('.rs').rsDebug().width === 600")
        visitor.state("ready")
        visitor.page.evaluate(send, [data, kind])
        visitor.page.wait_for_function("document.querySelector('.rs').rsDebug().width === 640")
        visitor.state("ready")


def test_zooming_keeps_the_place_under_the_mouse_and_clicks_land_there(on_coffee):
    place = on_coffee.place(*CUP)
    on_coffee.page.mouse.move(*place)
    before = on_coffee.story["transform"]["scale"]
    for _ in range(4):
        on_coffee.page.mouse.wheel(0, -240)
    on_coffee.page.wait_for_function(
        "before => document.querySelector('.rs').rsDebug().transform.scale > 1.3 * before", arg=before
    )
    times = on_coffee.story["transform"]["scale"] / before
    assert on_coffee.place(*CUP) == pytest.approx(place, abs=times)  # the mouse stands on whole pixels
    on_coffee.click(*CUP)
    assert on_coffee.story["chain"][0]["points"][0][:2] == pytest.approx(CUP, abs=1)
    on_coffee.screenshot("12_zoomed")


def test_the_keyboard_alone_segments_keeps_and_deletes(on_coffee):
    on_coffee.at("stage").focus()
    for _ in range(3):
        on_coffee.page.keyboard.press("ArrowRight")
    on_coffee.page.keyboard.press("Shift+ArrowDown")
    on_coffee.answered(lambda: on_coffee.page.keyboard.press("Space"))
    on_coffee.status("predicted IoU")
    on_coffee.screenshot("13_keyboard")
    on_coffee.page.keyboard.press("2")
    assert on_coffee.at("thumb-1").get_attribute("aria-pressed") == "true"
    on_coffee.page.keyboard.press("Enter")
    on_coffee.at("layer").first.wait_for()
    assert not on_coffee.story["chain"]
    on_coffee.page.keyboard.press("?")
    on_coffee.at("help-dialog").wait_for(state="visible")
    on_coffee.screenshot("14_help")
    on_coffee.page.keyboard.press("Escape")
    on_coffee.at("help-dialog").wait_for(state="hidden")


def test_a_phone_of_360_pixels_taps_and_switches(browser, server):
    phone = Visitor(browser, server, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    phone.open(PHOTOS / "coffee.jpg")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 360
    phone.at("stage").scroll_into_view_if_needed()
    phone.answered(lambda: phone.page.touchscreen.tap(*phone.place(*CUP)))
    phone.at("mode-background").click()
    phone.at("stage").scroll_into_view_if_needed()
    phone.answered(lambda: phone.page.touchscreen.tap(*phone.place(210, 260)))
    assert [label for *_, label in phone.story["chain"][-1]["points"]] == [1, 0]
    phone.screenshot("15_phone")
    phone.answered(lambda: phone.at("delete").click())
    assert len(phone.story["chain"][-1]["points"]) == 1
    phone.leave()


def test_the_page_has_a_dark_side(browser, server):
    night = Visitor(browser, server, color_scheme="dark")
    night.click(200, 150)
    night.screenshot("16_dark")
    colour = night.page.evaluate("getComputedStyle(document.querySelector('.rs')).color")
    assert min(map(int, re.findall(r"\d+", colour)[:3])) > 128  # light text
    night.leave()


def test_another_checkpoint_is_chosen_and_gives_its_own_mask(on_coffee):
    on_coffee.click(*CUP)
    first = on_coffee.download("take-mask")[1]
    on_coffee.answered(lambda: on_coffee.at("checkpoint").select_option("tinyvit_sam"))
    assert on_coffee.download("take-mask")[1] != first


def test_photos_are_segmented_through_gradio_client(server, predictor):
    from gradio_client import Client, handle_file

    client = Client(server.url, verbose=False)
    answer = client.predict(
        photo=handle_file(PHOTOS / "coffee.jpg"), points=[[20, 20, 0]], box=list(CUP_BOX), api_name="/segment"
    )
    expected = predictor.predict([[20, 20]], [0], box=CUP_BOX, multimask_output=False)[0][0]
    assert iou(coco_mask.decode(answer["segmentation"]) > 0, expected) >= 0.99
    with pytest.raises(Exception, match="point with label 1, or a box"):
        client.predict(photo=handle_file(PHOTOS / "coffee.jpg"), points=[[20, 20, 0]], api_name="/segment")


def test_a_path_on_the_server_is_not_opened_for_a_client(server):
    stolen = {"path": str(PHOTOS / "coffee.jpg"), "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [stolen, [[300, 200, 1]], None, ""]}).encode()
    request = urllib.request.Request(f"{server.url}gradio_api/call/segment", body, {"Content-Type": "application/json"})
    event = json.load(urllib.request.urlopen(request, timeout=30))["event_id"]
    answer = urllib.request.urlopen(f"{server.url}gradio_api/call/segment/{event}", timeout=60).read().decode()
    assert "event: error" in answer
    assert "segmentation" not in answer


def test_prompts_and_layers_return_to_a_photo_that_is_opened_again(on_coffee, server):
    on_coffee.click(*CUP)
    on_coffee.page.keyboard.press("Enter")
    on_coffee.at("layer").first.wait_for()
    on_coffee.click(100, 330)
    on_coffee.page.reload()  # the page no longer has the file
    on_coffee.state("ready")
    server.stop()
    server.start()  # and the server neither
    on_coffee.page.mouse.click(*on_coffee.place(310, 100))
    on_coffee.page.get_by_text(re.compile("prompts and layers are kept")).first.wait_for()
    on_coffee.at("file").set_input_files(PHOTOS / "coffee.jpg")
    on_coffee.page.wait_for_function("document.querySelector('.rs').rsDebug().layers.length === 1")
    on_coffee.state("ready")
    assert on_coffee.story["chain"][0]["points"][0][:2] == pytest.approx([100, 330], abs=1.5)


def test_a_restarted_server_is_told_what_it_forgot_and_one_that_is_gone_is_named(on_coffee, server):
    """Last of all: the server has other visitors' photos no longer."""
    on_coffee.click(*CUP)
    server.stop()
    on_coffee.page.mouse.click(*on_coffee.place(100, 330))
    on_coffee.page.get_by_text(re.compile("cannot be reached")).first.wait_for()
    on_coffee.screenshot("17_server_gone")
    before = on_coffee.figure("clicks")
    server.start()
    on_coffee.page.mouse.click(*on_coffee.place(310, 100))
    on_coffee.page.wait_for_function(
        "before => Number(document.querySelector('.rs').dataset.clicks) > before", arg=before
    )
    assert len(on_coffee.story["chain"][-1]["points"]) == 3
