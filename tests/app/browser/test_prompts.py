"""Points, boxes, candidates, previews."""

import pytest

from repvit_sam.checkpoints import CHECKPOINTS

from .conftest import CUP, CUP_BOX, iou, read_png

pytestmark = [pytest.mark.browser, pytest.mark.slow]


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
    assert on_coffee.document["chain"] == []


def test_points_of_both_kinds_refine_and_undo_and_redo_go_back_and_forth(on_coffee):
    on_coffee.click(*CUP)
    on_coffee.screenshot("03_click")
    first = on_coffee.download("download-mask")[1]
    on_coffee.click(210, 260, button="right")
    on_coffee.screenshot("04_background")
    refined = on_coffee.download("download-mask")[1]
    chain = on_coffee.document["chain"]
    assert [[label for *_, label in step["points"]] for step in chain] == [[1], [1, 0]]
    assert chain[1]["points"][1][:2] == pytest.approx([210, 260], abs=1.5)
    assert chain[0]["pick"] is not None
    on_coffee.answered(lambda: on_coffee.page.keyboard.press("Control+z"))
    assert len(on_coffee.document["chain"]) == 1
    assert on_coffee.download("download-mask")[1] == first
    on_coffee.answered(lambda: on_coffee.page.keyboard.press("Control+Shift+Z"))
    assert on_coffee.document["chain"] == chain
    assert on_coffee.download("download-mask")[1] == refined


def test_alt_click_and_the_switch_give_background_points(on_coffee):
    on_coffee.click(*CUP)
    on_coffee.page.keyboard.down("Alt")
    on_coffee.click(210, 260)
    on_coffee.page.keyboard.up("Alt")
    on_coffee.at("mode-background").click()
    on_coffee.click(100, 60)
    assert [label for *_, label in on_coffee.document["chain"][-1]["points"]] == [1, 0, 0]


def test_a_dragged_box_and_a_point_work_together(on_coffee):
    on_coffee.answered(lambda: on_coffee.drag(*CUP_BOX))
    on_coffee.screenshot("05_box")
    (step,) = on_coffee.document["chain"]
    assert step["box"] == pytest.approx(CUP_BOX, abs=2)
    on_coffee.click(310, 100)
    assert on_coffee.document["chain"][-1]["box"] == pytest.approx(CUP_BOX, abs=2)
    assert len(on_coffee.document["chain"][-1]["points"]) == 1


def test_a_box_is_two_corners_in_box_mode(on_coffee):
    on_coffee.at("mode-box").click()
    on_coffee.page.mouse.click(*on_coffee.place(*CUP_BOX[:2]))
    on_coffee.status("First corner set")
    on_coffee.click(*CUP_BOX[2:])
    assert on_coffee.document["chain"][0]["box"] == pytest.approx(CUP_BOX, abs=1.5)


def test_a_prompt_is_moved_by_its_handle_and_deleted_by_a_key(on_coffee):
    on_coffee.click(*CUP)
    on_coffee.click(210, 260, button="right")
    on_coffee.answered(lambda: on_coffee.drag(210, 260, 120, 80))
    (step,) = on_coffee.document["chain"]  # moving starts anew from all prompts
    assert step["points"][1] == pytest.approx([120, 80, 0], abs=2)
    on_coffee.answered(lambda: on_coffee.page.keyboard.press("Delete"))
    assert on_coffee.document["chain"][-1]["points"] == [pytest.approx([*CUP, 1], abs=1.5)]


def test_one_of_three_candidates_is_picked_and_taken_away(on_coffee, predictor):
    on_coffee.click(*CUP)
    masks, ious, _ = predictor.predict([on_coffee.document["chain"][0]["points"][0][:2]], [1])
    for pick in (int(ious.argmin()), int(ious.argmax())):
        on_coffee.at(f"thumb-{pick}").click()
        assert on_coffee.at(f"thumb-{pick}").get_attribute("aria-pressed") == "true"
        _, data = on_coffee.download("download-mask")
        assert iou(read_png(data) > 0, masks[pick]) >= 0.99
    assert f"{ious.max():.2f}" in on_coffee.at(f"thumb-{int(ious.argmax())}").inner_text()
    on_coffee.page.keyboard.press("1")
    assert on_coffee.at("thumb-0").get_attribute("aria-pressed") == "true"
    on_coffee.screenshot("06_candidates")


def test_another_checkpoint_is_chosen_and_gives_its_own_mask(on_coffee):
    on_coffee.click(*CUP)
    first = on_coffee.download("download-mask")[1]
    assert on_coffee.at("checkpoint").get_attribute("title") == ""  # a file without a name
    on_coffee.answered(lambda: on_coffee.at("checkpoint").select_option("tinyvit_sam"))
    assert on_coffee.download("download-mask")[1] != first
    assert on_coffee.at("checkpoint").get_attribute("title") == CHECKPOINTS["tinyvit_sam"].about
