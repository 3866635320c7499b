import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from repvit_sam.app.shapes import area_and_bbox, loops_of, mask_of_loops, polygons_of, rle_of
from repvit_sam.rle import encode_rle


def blobs(seed, photo_hw=(150, 200)):
    """A mask with several parts, holes, and parts that touch at corners."""
    noise = np.random.default_rng(seed).random((12, 16)).astype(np.float32)
    return cv2.resize(noise, photo_hw[::-1]) > 0.55


@pytest.mark.parametrize("seed", range(5))
def test_loops_without_tolerance_give_the_mask_back(seed):
    mask = blobs(seed)
    np.testing.assert_array_equal(mask_of_loops(loops_of(mask, 0), mask.shape), mask)


def test_loops_run_along_the_edges_of_pixels():
    mask = np.zeros((10, 12), dtype=bool)
    mask[2:5, 3:7] = True
    (loop,) = loops_of(mask, 0)
    assert sorted(map(tuple, loop)) == [(3, 2), (3, 5), (7, 2), (7, 5)]


def test_simplified_loops_stay_near_the_edge():
    mask = np.zeros((200, 200), dtype=np.uint8)
    cv2.circle(mask, (100, 100), 60, 1, -1)
    (loop,) = loops_of(mask.astype(bool), 1.5)
    assert 8 <= len(loop) <= 40
    again = mask_of_loops([loop], (200, 200))
    assert (again & mask.astype(bool)).sum() / (again | mask.astype(bool)).sum() > 0.97


def test_loops_that_take_long_to_fill_are_refused_and_those_beside_the_photo_are_cut():
    with pytest.raises(ValueError, match="pixels long"):
        mask_of_loops([[[0, 0], [1000, 1000]] * 2000], (1000, 1000))
    assert mask_of_loops([[[-50, -50], [1e5, -50], [1e5, 1e5], [-50, 1e5]]], (20, 30)).all()


def test_an_empty_mask_has_no_loops():
    assert loops_of(np.zeros((4, 5), dtype=bool), 0) == []
    assert not mask_of_loops([], (4, 5)).any()


def test_polygons_are_those_of_the_mask_and_none_where_it_has_holes():
    mask = np.zeros((20, 20), dtype=bool)
    mask[2:9, 3:12] = mask[12:15, 12:15] = True
    polygons = polygons_of(encode_rle(mask))
    again = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, 20, 20))).astype(bool)
    np.testing.assert_array_equal(again, mask)
    mask[4:6, 5:7] = False
    assert polygons_of(encode_rle(mask)) is None


def test_every_form_of_cocos_segmentation_is_read():
    mask = np.zeros((6, 8), dtype=bool)
    mask[1:4, 2:5] = True
    compressed = encode_rle(mask)
    runs = {"size": [6, 8], "counts": [13, 3, 3, 3, 3, 3, 20]}
    assert (
        rle_of(compressed, (6, 8)) == rle_of(runs, (6, 8)) == rle_of([[2, 1, 5, 1, 5, 4, 2, 4]], (6, 8)) == compressed
    )
    assert area_and_bbox(compressed) == (9, [2, 1, 3, 3])


@pytest.mark.parametrize(
    "segmentation",
    [
        *(None, [], {}, "x", [[1, 2]], [["a", "b", "c", "d", "e", "f"]], {"size": [6, 8]}),
        *({"size": [8, 6], "counts": [48]}, {"size": [6, 8], "counts": [47]}, {"size": [6, 8], "counts": "zz"}),
        *([[0, 0, float("nan"), 0, 5, 5]], [[0, 0, 1e9, 0, 5, 5]], [[0, 0, 5, 0, 5, 5], [1, 1]]),
        *({"size": [6, 8], "counts": [50, -2]}, {"size": [6, 8], "counts": []}, {"size": 3, "counts": [48]}),
    ],
)
def test_what_is_no_mask_of_this_photo_is_none(segmentation):
    assert rle_of(segmentation, (6, 8)) is None
