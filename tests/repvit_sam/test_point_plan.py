import numpy as np
import pytest

from repvit_sam.canvas import fit_photo
from repvit_sam.point_plan import FoundArea, PointPlan, points_in_plan


def decoded_by(side, looks, at_most=64, found=None):
    plan, steps = PointPlan(side, looks), []
    found = np.zeros(side**2, bool) if found is None else found
    while len(points := plan.next(at_most, found)):
        steps.append(points.tolist())
    return steps


def random_looks(side):
    return np.random.default_rng(0).normal(size=(side**2, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("side", "count"), [(1, 1), (3, 9), (8, 64), (9, 64), (16, 64), (20, 100), (32, 256), (33, 273)]
)
def test_a_quarter_of_a_large_grid_is_decoded_and_all_of_a_small_one(side, count):
    points = [point for step in decoded_by(side, random_looks(side)) for point in step]
    assert points_in_plan(side) == count
    assert len(points) == len(set(points)) == count


def test_the_first_points_are_spread_evenly():
    first, *_ = decoded_by(32, random_looks(32))
    assert first[:8] == [2 * 32 + column for column in (2, 6, 10, 14, 18, 22, 26, 30)]
    assert len(first) == 64


def test_no_more_points_at_once_than_asked_for():
    assert max(map(len, decoded_by(16, random_looks(16), at_most=5))) == 5


def test_a_place_that_looks_like_no_other_comes_next():
    looks = np.ones((1024, 4), np.float32)
    looks[[100, 500]] = [[1, -1, 0, 0], [0, 0, -1, 1]]
    _, second, *_ = decoded_by(32, looks)
    assert set(second[:2]) == {100, 500}


def test_of_places_that_look_alike_those_without_a_mask_come_first():
    found = np.zeros(1024, bool)
    found[:512] = True
    _, second, *_ = decoded_by(32, np.ones((1024, 4), np.float32), found=found)
    assert min(second) >= 512


def test_points_in_a_mask_are_found_on_photos_of_any_shape():
    area = FoundArea(fit_photo((200, 400)))  # on the canvas 512 x 1024
    mask = np.zeros((128, 256), bool)
    mask[:64, :128] = True  # the photo's top left quarter
    assert not area.holds(np.array([[10.0, 10]])).any()
    area.add(mask)
    points = np.array([[10.0, 10], [199, 99], [201, 50], [50, 101], [399.9, 199.9]])
    assert area.holds(points).tolist() == [True, True, False, False, False]
