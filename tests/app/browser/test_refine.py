"""Refine: a second look at the object on the screen."""

import pytest

from .conftest import iou, read_png

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HANDLE = (380, 90, 430, 150)  # of the cup: a small object


@pytest.fixture
def on_handle(on_coffee):
    on_coffee.answered(lambda: on_coffee.drag(*HANDLE))
    return on_coffee


def mask_of(visitor):
    return read_png(visitor.download("download-mask")[1]) > 0


def test_the_button_refines_the_mask_that_undo_takes_back_and_a_reload_keeps(on_handle, predictor):
    first = mask_of(on_handle)
    on_handle.screenshot("20_before_refining")
    assert "about as long as opening the photo" in on_handle.at("refine").get_attribute("title")
    on_handle.answered(lambda: on_handle.at("refine").click())
    on_handle.status("predicted IoU .*, refined$")
    on_handle.screenshot("21_refined")
    assert on_handle.at("refine").inner_text().startswith("Refined")
    assert on_handle.at("refine").is_disabled()
    (step,) = on_handle.document["chain"]
    assert (step["refine"], step["pick"]) == (True, 0)
    refined = mask_of(on_handle)
    expected = predictor.predict(box=step["box"], multimask_output=False, refine=True)[0][0]
    assert iou(refined, expected) >= 0.99
    assert iou(refined, first) < 0.99

    on_handle.answered(lambda: on_handle.page.keyboard.press("Control+z"))
    assert (mask_of(on_handle) == first).all()
    assert on_handle.at("refine").is_enabled()
    on_handle.answered(lambda: on_handle.page.keyboard.press("Control+Shift+Z"))
    assert (mask_of(on_handle) == refined).all()
    on_handle.page.reload()
    on_handle.state("ready")
    on_handle.status(", refined$")
    assert (mask_of(on_handle) == refined).all()


def test_the_key_refines_the_picked_candidate_and_another_pick_is_not_refined(on_handle):
    on_handle.page.keyboard.press("2")
    on_handle.answered(lambda: on_handle.page.keyboard.press("r"))
    on_handle.status("^Mask 2 of 3: .*, refined$")
    assert on_handle.at("thumb-1").get_attribute("aria-pressed") == "true"
    on_handle.page.keyboard.press("3")
    on_handle.status("^Mask 3 of 3: .*[0-9]$")
    on_handle.answered(lambda: on_handle.page.keyboard.press("Control+z"))
    on_handle.status("^Mask 2 of 3: .*, refined$")
    on_handle.page.keyboard.press("r")
    on_handle.status("^This mask is refined already")


def test_a_refined_mask_is_kept_and_corrected_further(on_handle):
    on_handle.answered(lambda: on_handle.page.keyboard.press("r"))
    refined = mask_of(on_handle)
    on_handle.at("keep").click()
    on_handle.at("layer").first.wait_for()
    (layer,) = on_handle.document["layers"]
    assert layer["chain"][0]["refine"]
    assert layer["area"] == refined.sum()
    on_handle.answered(lambda: on_handle.page.keyboard.press("Control+z"))
    on_handle.click(400, 110)
    assert [step.get("refine", False) for step in on_handle.document["chain"]] == [True, False]
    on_handle.at("code").click()
    on_handle.at("code-dialog").wait_for(state="visible")
    program = on_handle.at("code-text").input_value()
    assert program.count("predictor.refine(") == 1
    assert program.index("predictor.refine(") < program.index("point_coords")


def test_what_cannot_be_refined_says_so(on_coffee):
    on_coffee.page.keyboard.press("r")
    on_coffee.status("^Nothing to refine yet")
    assert on_coffee.at("refine").is_disabled()
    on_coffee.answered(lambda: on_coffee.drag(5, 5, 595, 395))
    on_coffee.answered(lambda: on_coffee.page.keyboard.press("r"))
    on_coffee.status("Too large for a second look: nothing to refine.$")
