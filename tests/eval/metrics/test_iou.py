import numpy as np
import pytest

from repvit_sam.eval.metrics.iou import boundary_iou, clicks_needed, contour_band, iou, mean_by_size

from ..discs import disc

PHOTO_HW = (300, 400)  # diagonal 500: a band of 10 pixels


def square(margin, photo_hw=PHOTO_HW):
    """A square of 100 pixels a side, less ``margin`` on each side."""
    mask = np.zeros(photo_hw, bool)
    mask[100 + margin : 200 - margin, 150 + margin : 250 - margin] = True
    return mask


def test_iou_and_its_means_by_size():
    assert iou(disc(), disc()) == 1
    assert iou(disc(), ~disc()) == 0
    assert iou(np.zeros((3, 3), bool), np.zeros((3, 3), bool)) == 1
    means = mean_by_size([0.2, 0.4, 0.9], [10, 2000, 3000])
    assert means == pytest.approx({"all": 0.5, "small": 0.2, "medium": 0.65, "large": None})


def test_the_band_is_two_percent_of_the_diagonal_wide_and_inside():
    assert (contour_band(square(0)) == square(0) & ~square(10)).all()


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        (0, 1),
        (5, (90**2 - 80**2) / (100**2 - 70**2)),  # rings of 10 pixels, one 5 pixels inside the other
        (10, 0),  # the rings only touch, though the IoU is 0.64
    ],
)
def test_boundary_iou_of_nested_squares_is_that_of_their_rings(margin, expected):
    assert boundary_iou(square(0), square(margin)) == pytest.approx(expected)
    assert boundary_iou(square(margin), square(0)) == pytest.approx(expected)


def test_what_is_thinner_than_two_bands_is_all_band():
    one, other = np.zeros(PHOTO_HW, bool), np.zeros(PHOTO_HW, bool)
    one[50:70, 50:300] = True
    other[50:70, 60:310] = True
    assert (contour_band(one) == one).all()
    assert boundary_iou(one, other) == iou(one, other) == pytest.approx(240 / 260)


def test_the_border_of_the_photo_is_a_contour():
    everything = np.ones(PHOTO_HW, bool)
    inside = np.zeros(PHOTO_HW, bool)
    inside[10:-10, 10:-10] = True
    assert (contour_band(everything) == ~inside).all()


def test_an_object_of_two_parts_has_two_contours():
    one, other = square(0), np.zeros(PHOTO_HW, bool)
    other[10:40, 10:390] = True
    assert (contour_band(one | other) == contour_band(one) | contour_band(other)).all()


def test_nothing_has_no_contour():
    nothing = np.zeros(PHOTO_HW, bool)
    assert boundary_iou(nothing, nothing) == 1
    assert boundary_iou(square(0), nothing) == 0


def test_the_band_is_a_pixel_wide_at_least():
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:7] = True
    assert contour_band(mask).sum() == 16


@pytest.mark.parametrize(
    ("ious", "expected"), [([0.9], 1), ([0.5, 0.85, 0.8], 2), ([0.5, 0.6, 0.7], 3), ([0.8, 0.8, 0.9], 3)]
)
def test_clicks_are_counted_until_the_iou_is_first_reached(ious, expected):
    assert clicks_needed(ious, 0.85) == expected
