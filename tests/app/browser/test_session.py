"""Several visitors, reloads, restarts of the server."""

import re

import pytest

from ...conftest import PHOTOS
from .conftest import CUP, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def on_coffee(visitor):
    """An upload, which nobody but this window can send again."""
    visitor.open(PHOTOS / "coffee.jpg")
    return visitor


def test_two_visitors_side_by_side_never_see_each_others_photo(visitor, browser, server):
    other = Visitor(browser, server)
    visitor.open(PHOTOS / "coffee.jpg")
    other.open(PHOTOS / "rocket.jpg")
    visitor.click(*CUP)
    other.click(320, 200)
    other.click(100, 100, button="right")
    mine, theirs = visitor.document, other.document
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
    before = on_coffee.document
    on_coffee.page.reload()
    on_coffee.state("ready")
    on_coffee.page.wait_for_function("Number(document.querySelector('.rs').dataset.clicks || 0) > 0")
    after = on_coffee.document
    assert after["photo"] == before["photo"]
    assert after["chain"] == before["chain"]
    assert [layer["name"] for layer in after["layers"]] == [layer["name"] for layer in before["layers"]]


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
    assert on_coffee.document["chain"][0]["points"][0][:2] == pytest.approx([100, 330], abs=1.5)


def test_a_restarted_server_is_told_what_it_forgot_and_one_that_is_gone_is_named(on_coffee, server):
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
    assert len(on_coffee.document["chain"][-1]["points"]) == 3
