"""The keyboard: alone, and together with the pointer."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


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
    assert not on_coffee.document["chain"]
    on_coffee.page.keyboard.press("?")
    on_coffee.at("help-dialog").wait_for(state="visible")
    on_coffee.screenshot("14_help")
    on_coffee.page.keyboard.press("Escape")
    on_coffee.at("help-dialog").wait_for(state="hidden")


def test_space_held_pans_and_escape_ends_a_drag(on_coffee):
    page = on_coffee.page
    on_coffee.at("stage").focus()
    before = on_coffee.document["transform"]
    x, y = on_coffee.place(300, 200)
    page.mouse.move(x, y)
    page.keyboard.down("Space")
    page.mouse.down()
    page.mouse.move(x + 30, y + 10, steps=3)
    page.mouse.up()
    page.keyboard.up("Space")
    after = on_coffee.document["transform"]
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((30, 10), abs=0.1)
    page.mouse.move(*on_coffee.place(100, 100))
    page.mouse.down()
    page.mouse.move(*on_coffee.place(200, 200))
    page.keyboard.press("Escape")
    page.mouse.move(*on_coffee.place(250, 250))
    page.mouse.up()
    assert on_coffee.document["chain"] == []
