import numpy as np
import pytest

from repvit_sam.app.mask_edits import edited_masks, outline
from repvit_sam.app.schemas import EditRequest, RequestError, Rle, parse
from repvit_sam.rle import encode_rle

HW = (100, 120)


def mask_with(*rectangles):
    mask = np.zeros(HW, dtype=bool)
    for x, y, width, height in rectangles:
        mask[y : y + height, x : x + width] = True
    return mask


def edited(mask, **edit):
    rle = None if mask is None else encode_rle(mask)
    return edited_masks(parse(EditRequest, {"photo": "p", "rle": rle, "edit": edit}), HW)


def test_a_brush_adds_a_disc_and_an_eraser_takes_it_away():
    (disc,) = edited(None, kind="brush", points=[[60.5, 50.5]], diameter=20)
    assert disc.sum() == pytest.approx(np.pi * 10**2, rel=0.06)
    rows, columns = np.nonzero(disc)
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((60.5, 50.5), abs=0.1)
    (rest,) = edited(mask_with((0, 0, 120, 100)), kind="brush", points=[[60.5, 50.5]], diameter=20, erase=True)
    np.testing.assert_array_equal(rest, ~disc)


def test_a_stroke_is_as_wide_as_the_brush_and_round_at_its_ends():
    (stroke,) = edited(None, kind="brush", points=[[30, 50], [60, 50], [90, 50]], diameter=11)
    assert stroke[:, 60].sum() == pytest.approx(11, abs=1)
    assert stroke[50].sum() == pytest.approx(71, abs=2)


def test_the_smallest_brush_paints_the_pixel_under_it():
    (dot,) = edited(None, kind="brush", points=[[10.5, 20.5]], diameter=1)
    assert dot[20, 10]
    assert dot.sum() <= 5


def test_strokes_outside_of_the_photo_paint_nothing():
    assert edited(None, kind="brush", points=[[-50, -50], [-20, -90]], diameter=10) == []


def test_an_outline_replaces_the_mask_with_holes():
    square, hole = [[10, 10], [50, 10], [50, 50], [10, 50]], [[20, 20], [30, 20], [30, 30], [20, 30]]
    (mask,) = edited(mask_with((0, 0, 5, 5)), kind="outline", loops=[square, hole])
    np.testing.assert_array_equal(mask, mask_with((10, 10, 40, 40)) & ~mask_with((20, 20, 10, 10)))


def test_holes_are_filled_and_bays_are_not():
    ring = mask_with((10, 10, 40, 40)) & ~mask_with((20, 20, 10, 10))
    bay = ring & ~mask_with((35, 10, 3, 20))
    (filled,) = edited(bay, kind="fill_holes")
    np.testing.assert_array_equal(filled, mask_with((10, 10, 40, 40)) & ~mask_with((35, 10, 3, 20)))


def test_islands_are_dropped_or_become_masks():
    two = mask_with((5, 5, 10, 10), (60, 50, 30, 30))
    (largest,) = edited(two, kind="drop_islands")
    np.testing.assert_array_equal(largest, mask_with((60, 50, 30, 30)))
    parts = edited(two, kind="split")
    assert [part.sum() for part in parts] == [900, 100]


def test_masks_are_merged_and_cut():
    one, other = mask_with((10, 10, 20, 20)), mask_with((20, 20, 20, 20))
    (union,) = edited(one, kind="merge", others=[encode_rle(other)])
    np.testing.assert_array_equal(union, one | other)
    (rest,) = edited(one, kind="cut", others=[encode_rle(other)])
    np.testing.assert_array_equal(rest, one & ~other)
    assert edited(one, kind="cut", others=[encode_rle(one)]) == []


def test_an_outline_to_edit_has_few_corners():
    rle = Rle(**encode_rle(mask_with((10, 10, 40, 40), (70, 10, 10, 10))))
    assert sorted(len(loop) for loop in outline(rle, HW)) == [4, 4]


@pytest.mark.parametrize(
    "edit",
    [
        {"kind": "brush", "points": [], "diameter": 5},
        {"kind": "brush", "points": [[1, 2]], "diameter": 0},
        {"kind": "brush", "points": [[1, float("nan")]], "diameter": 5},
        {"kind": "outline", "loops": [[[1, 2], [3, 4]]]},
        {"kind": "merge", "others": []},
        {"kind": "melt"},
    ],
)
def test_edits_of_another_kind_are_refused(edit):
    with pytest.raises(RequestError):
        edited(mask_with((1, 1, 5, 5)), **edit)


def test_masks_of_another_photo_are_refused():
    with pytest.raises(RequestError, match="100 x 120 pixels"):
        edited(np.zeros((50, 50), dtype=bool), kind="split")
