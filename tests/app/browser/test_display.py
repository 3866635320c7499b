"""Zooming, a phone, dark mode."""

import re

import pytest

from ...conftest import PHOTOS
from .conftest import CUP, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_zooming_keeps_the_place_under_the_mouse_and_clicks_land_there(on_coffee):
    place = on_coffee.place(*CUP)
    on_coffee.page.mouse.move(*place)
    before = on_coffee.document["transform"]["scale"]
    for _ in range(4):
        on_coffee.page.mouse.wheel(0, -240)
    on_coffee.page.wait_for_function(
        "before => document.querySelector('.rs').rsDebug().transform.scale > 1.3 * before", arg=before
    )
    times = on_coffee.document["transform"]["scale"] / before
    assert on_coffee.place(*CUP) == pytest.approx(place, abs=times)  # the mouse stands on whole pixels
    on_coffee.click(*CUP)
    assert on_coffee.document["chain"][0]["points"][0][:2] == pytest.approx(CUP, abs=1)
    on_coffee.screenshot("12_zoomed")


def test_a_phone_of_360_pixels_taps_and_switches(browser, server):
    phone = Visitor(browser, server, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    phone.open(PHOTOS / "coffee.jpg")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 360
    phone.at("stage").scroll_into_view_if_needed()
    phone.answered(lambda: phone.page.touchscreen.tap(*phone.place(*CUP)))
    phone.at("mode-background").click()
    phone.at("stage").scroll_into_view_if_needed()
    phone.answered(lambda: phone.page.touchscreen.tap(*phone.place(210, 260)))
    assert [label for *_, label in phone.document["chain"][-1]["points"]] == [1, 0]
    phone.screenshot("15_phone")
    phone.answered(lambda: phone.at("delete").click())
    assert len(phone.document["chain"][-1]["points"]) == 1
    phone.leave()


def test_the_page_has_a_dark_side(visitor):
    visitor.page.emulate_media(color_scheme="dark")
    visitor.page.reload()
    visitor.state("ready")
    visitor.click(200, 150)
    visitor.screenshot("16_dark")
    colour = visitor.page.evaluate("getComputedStyle(document.querySelector('.rs')).color")
    assert min(map(int, re.findall(r"\d+", colour)[:3])) > 128  # light text
