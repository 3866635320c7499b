"""Layers, and everything mode, which makes them."""

import json
from itertools import product

import pytest

from .conftest import CUP

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_two_objects_are_layers_with_names_order_and_colour(on_coffee):
    on_coffee.click(*CUP)
    on_coffee.page.keyboard.press("Enter")
    on_coffee.at("layer").first.wait_for()
    on_coffee.click(100, 330)
    on_coffee.at("keep").click()
    on_coffee.page.wait_for_function("document.querySelectorAll('[data-part=layer]').length === 2")
    on_coffee.at("layer-name").first.fill("table")
    on_coffee.at("layer-name").first.press("Enter")
    names = [layer["name"] for layer in on_coffee.document["layers"]]
    assert "table" in names
    on_coffee.screenshot("08_layers")
    on_coffee.at("layer-down").first.click()
    assert [layer["name"] for layer in on_coffee.document["layers"]] == names[::-1]
    content = json.loads(on_coffee.download("download-coco")[1])
    assert len(content["annotations"]) == 2
    assert "table" in [category["name"] for category in content["categories"]]
    on_coffee.at("layer-delete").first.click()
    on_coffee.page.wait_for_function("document.querySelectorAll('[data-part=layer]').length === 1")
    on_coffee.at("undo").click()
    on_coffee.page.wait_for_function("document.querySelectorAll('[data-part=layer]').length === 2")


def test_a_colour_is_one_step_however_many_were_tried(on_coffee):
    on_coffee.click(*CUP)
    on_coffee.page.keyboard.press("Enter")
    on_coffee.at("layer").first.wait_for()
    before = on_coffee.document["layers"][0]["colour"]
    on_coffee.at("layer-colour").evaluate("""field => {
        for (const [event, value] of [['input', '#111111'], ['input', '#222222'], ['change', '#333333']]) {
            field.value = value;
            field.dispatchEvent(new Event(event));
        }
    }""")
    assert on_coffee.document["layers"][0]["colour"] == "#333333"
    on_coffee.at("undo").click()
    assert on_coffee.document["layers"][0]["colour"] == before
    on_coffee.at("redo").click()
    assert on_coffee.document["layers"][0]["colour"] == "#333333"


def test_everything_finds_masks_one_of_which_becomes_a_layer(on_coffee):
    on_coffee.page.locator(".rs-everything summary").click()
    on_coffee.at("slider-points").fill("6")
    on_coffee.at("slider-iou").fill("0.6")
    on_coffee.at("slider-stability").fill("0.6")
    on_coffee.at("everything-run").click()
    on_coffee.status(r"\d+ masks in")
    on_coffee.screenshot("09_everything")
    for spot in product(range(50, 600, 100), range(33, 400, 67)):  # what is found there changes with the weights
        if not on_coffee.document["layers"]:
            on_coffee.page.mouse.click(*on_coffee.place(*spot))
    on_coffee.at("layer").first.wait_for()
    on_coffee.at("everything-dismiss").click()
    on_coffee.state("ready")
    assert len(on_coffee.document["layers"]) == 1


def test_everything_can_be_cancelled_on_the_way(on_coffee):
    on_coffee.page.locator(".rs-everything summary").click()
    on_coffee.at("slider-points").fill("64")  # seconds, also for the light model
    on_coffee.at("stage").focus()
    on_coffee.page.keyboard.press("a")
    on_coffee.state("everything")
    on_coffee.page.wait_for_function("/Everything [0-9]+ %/.test(document.querySelector('.rs-wait-text').textContent)")
    on_coffee.screenshot("10_everything_running")
    on_coffee.at("everything-cancel").click()
    on_coffee.state("ready")
    on_coffee.click(*CUP)
    assert on_coffee.figure("everything") == 0
