import numpy as np
import pytest

from repvit_sam.canvas import fit_photo
from repvit_sam.point_plan import FoundArea, grid_levels


@pytest.mark.parametrize("side", [1, 2, 3, 8, 33])
def test_levels_hold_every_point_once(side):
    levels = grid_levels(side)
    assert sorted(np.concatenate(levels).tolist()) == list(range(side**2))


def test_levels_grow_from_coarse_to_fine():
    assert [len(level) for level in grid_levels(32)] == [64, 192, 768]
    assert [len(level) for level in grid_levels(16)] == [64, 192]
    assert [len(level) for level in grid_levels(8)] == [64]


def test_points_in_a_mask_are_found_on_photos_of_any_shape():
    area = FoundArea(fit_photo((200, 400)))  # on the canvas 512 x 1024
    mask = np.zeros((128, 256), bool)
    mask[:64, :128] = True  # the photo's top left quarter
    assert not area.holds(np.array([[10.0, 10]])).any()
    area.add(mask)
    points = np.array([[10.0, 10], [199, 99], [201, 50], [50, 101], [399.9, 199.9]])
    assert area.holds(points).tolist() == [True, True, False, False, False]
