import numpy as np
import pytest

from repvit_sam.visualize import COLOURS, crop_to, cut_out, draw_labels, draw_prompts, mask_picture, overlay

GREY = np.full((40, 60, 3), 100, np.uint8)
SQUARE, LARGE = np.zeros((2, 40, 60), bool)
SQUARE[10:20, 15:30] = True
LARGE[5:35, 5:55] = True


def test_an_overlay_tints_its_masks_and_leaves_the_rest():
    picture = overlay(GREY, [LARGE])
    np.testing.assert_array_equal(picture[20, 30], (100 * 128 + np.array(COLOURS[0]) * 128) >> 8)
    np.testing.assert_array_equal(picture[0], GREY[0])
    assert (GREY == 100).all()


def test_an_overlay_is_tinted_in_parts_of_whole_rows(monkeypatch):
    whole = overlay(GREY, [LARGE, SQUARE])
    monkeypatch.setattr("repvit_sam.visualize._PIXELS_AT_ONCE", 60 * 7)
    np.testing.assert_array_equal(overlay(GREY, [LARGE, SQUARE]), whole)


@pytest.mark.parametrize(("in_order", "small_one_shows"), [(False, True), (True, False)])
def test_small_masks_are_drawn_over_large_ones_unless_the_order_counts(in_order, small_one_shows):
    picture = overlay(GREY, [SQUARE, LARGE], opacity=1, in_order=in_order)
    assert (picture[15, 22].tolist() == list(COLOURS[0])) is small_one_shows


def test_a_cut_out_holds_nothing_but_the_object():
    picture = cut_out(GREY, SQUARE)
    np.testing.assert_array_equal(picture[..., 3], mask_picture(SQUARE))
    assert not picture[~SQUARE].any()
    assert 0 < cut_out(GREY, SQUARE, feather=4)[10, 22, 3] < 255


def test_a_picture_is_cropped_to_the_object_and_its_margin():
    assert crop_to(GREY, SQUARE).shape == (10, 15, 3)
    assert crop_to(GREY, SQUARE, margin=2.5).shape == (16, 21, 3)
    assert crop_to(GREY, LARGE, margin=9).shape == GREY.shape
    assert crop_to(GREY, np.zeros_like(SQUARE)) is GREY


def test_prompts_are_drawn_on_a_copy():
    picture = draw_prompts(GREY, points=[(30, 20, 1), (5, 5, 0)], boxes=[[10, 10, 50, 35]])
    assert picture[20, 30, 1] > picture[20, 30, 0]  # green
    assert picture[5, 5, 0] > picture[5, 5, 1]  # red
    assert (GREY == 100).all()


def changed(labels):
    """Rows and columns of what labels change on a grey picture, 200 wide and 100 high."""
    grey = np.full((100, 200, 3), 100, np.uint8)
    rows, columns = np.where((draw_labels(grey, labels) != grey).any(-1))
    return rows, columns


def test_a_label_stands_on_its_box_or_within_it_at_the_photos_edges():
    rows, columns = changed([("cat 0.90", (20, 50, 120, 90))])
    assert 20 < rows.min() < rows.max() <= 50
    assert columns.min() == 20
    rows, columns = changed([("cat 0.90", (180, 0, 200, 60))])
    assert 0 <= rows.min() < rows.max() < 30
    assert 100 < columns.min() < columns.max() == 199


def test_a_label_without_room_is_left_out():
    box = (20, 50, 120, 90)
    once, twice, thrice = (len(changed([("cat", box)] * count)[0]) for count in (1, 2, 3))
    assert once < twice == thrice  # above the box and under its edge, then nowhere
    assert not len(changed([("a label of very many words, wider than the photo", box)])[0])
