import numpy as np
import pytest

from repvit_sam.eval.prompting.ground_truth import box_of, centre_of, centroid_of


def test_box_and_centre_are_in_continuous_coordinates():
    mask = np.zeros((10, 20), bool)
    mask[2:5, 3:10] = True
    assert box_of(mask) == (3, 2, 10, 5)
    x, y = centre_of(mask)
    assert y == 3.5
    assert 4 < x < 9


def test_an_empty_mask_has_no_box():
    with pytest.raises(ValueError, match="got an empty mask"):
        box_of(np.zeros((10, 20), bool))


def test_the_centre_keeps_away_from_the_border_of_the_photo():
    assert centre_of(np.ones((9, 9), bool)) == (4.5, 4.5)


def test_the_centroid_is_the_middle_or_the_nearest_pixel_of_the_object():
    assert centroid_of(np.ones((9, 9), bool)) == (4.5, 4.5)
    frame = np.ones((9, 9), bool)
    frame[1:-1, 1:-1] = False  # its mean is in the hole
    x, y = centroid_of(frame)
    assert frame[int(y), int(x)]
    assert max(abs(x - 4.5), abs(y - 4.5)) == 4
