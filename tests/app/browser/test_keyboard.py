"""The keyboard alone."""

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
