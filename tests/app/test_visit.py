from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from repvit_sam.app.view import status, view, write_results
from repvit_sam.app.visit import VIEW_SIDE, Tool, clear, click, open_photo, undo
from repvit_sam.errors import PhotoError


@pytest.fixture(scope="module")
def visit(model, coffee):
    return open_photo(model, coffee)


def test_a_click_on_the_cup_gives_its_mask_and_leaves_the_old_visit_alone(model, visit):
    clicked = click(model, visit, Tool.OBJECT, 300, 200)
    assert clicked.mask[200, 300]
    assert 0 < clicked.predicted_iou <= 1.1
    assert visit.mask is None
    assert visit.clicks == ()


def test_a_box_needs_two_corners_drawn_either_way(model, visit):
    first = click(model, visit, Tool.BOX, 425, 282)
    assert first.mask is None
    assert first.open_corner == (425, 282)
    assert "opposite" in status(first)
    second = click(model, first, Tool.BOX, 170, 12)
    assert second.box_xyxy == (170, 12, 425, 282)
    assert second.mask[180, 310]
    assert second.open_corner is None


def test_points_refine_a_box_and_a_third_corner_starts_a_new_one(model, visit):
    boxed = click(model, click(model, visit, Tool.BOX, 170, 12), Tool.BOX, 425, 282)
    refined = click(model, boxed, Tool.BACKGROUND, 310, 180)
    assert refined.points == ((310, 180, 0),)
    assert (refined.mask != boxed.mask).any()
    third = click(model, refined, Tool.BOX, 10, 10)
    assert third.box_xyxy == boxed.box_xyxy
    assert third.open_corner == (10, 10)


def test_background_alone_asks_for_more(model, visit):
    assert click(model, visit, Tool.BACKGROUND, 10, 10).mask is None


def test_undo_and_clear_go_back(model, visit):
    one = click(model, visit, Tool.OBJECT, 300, 200)
    two = click(model, one, Tool.BACKGROUND, 20, 20)
    np.testing.assert_array_equal(undo(model, two).mask, one.mask)
    assert undo(model, one).mask is None
    assert undo(model, visit).clicks == ()
    assert clear(two).clicks == ()
    assert clear(two).encoded is two.encoded


def test_the_view_has_one_size_whatever_the_photo(model, visit):
    assert max(view(visit).shape) == VIEW_SIDE
    clicked = click(model, visit, Tool.OBJECT, 300, 200)
    assert (view(clicked) != view(visit)).any()


def test_a_mask_of_one_pixels_width_is_seen_on_a_large_photo(visit):
    photo, mask = np.zeros((3000, 2000, 3), np.uint8), np.zeros((3000, 2000), bool)
    mask[:, 1001] = True
    large = replace(visit, photo=photo, shown=np.zeros((1024, 683, 3), np.uint8), mask=mask, predicted_iou=1.0)
    assert view(large).any()


def test_results_are_at_photo_size(model, visit, tmp_path):
    assert write_results(visit, tmp_path) == []
    names = write_results(click(model, visit, Tool.OBJECT, 300, 200), tmp_path)
    with Image.open(names[0]) as cutout, Image.open(names[1]) as mask:
        assert (cutout.size, cutout.mode) == ((600, 400), "RGBA")
        assert (mask.size, mask.mode) == ((600, 400), "L")


def test_two_visitors_share_nothing(model, visit, formula_photo):
    other = open_photo(model, formula_photo)
    mine = click(model, visit, Tool.OBJECT, 300, 200)
    theirs = click(model, other, Tool.OBJECT, 150, 110)
    assert mine.mask.shape == (400, 600)
    assert theirs.mask.shape == (229, 301)
    assert theirs.mask[110, 150]


def test_what_is_no_photo_or_too_large_for_the_page_is_refused(model, monkeypatch, coffee):
    with pytest.raises(PhotoError, match="not a picture"):
        open_photo(model, b"no picture")
    monkeypatch.setattr("repvit_sam.app.visit.MAX_PIXELS", 1000)
    with pytest.raises(PhotoError, match="600x400"):
        open_photo(model, coffee)
