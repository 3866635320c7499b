import json

import numpy as np
import pytest

from repvit_sam.canvas import fit_photo
from repvit_sam.distill.data.masks import PackedMasks, masks_on_grid, read_masks
from repvit_sam.distill.data.photo_set import FileSlice, PhotoItem
from repvit_sam.distill.data.sources import read_sources
from repvit_sam.photo import read_photo


@pytest.mark.parametrize("nothing", [[], [[]], None, [[1, 2]], [[1, 2, 3, 4]], {"size": [5, 5]}, "x"])
def test_an_annotation_without_a_mask_costs_itself_alone(nothing, tmp_path):
    square = {"segmentation": [[10, 10, 60, 10, 60, 60, 10, 60]]}
    item = PhotoItem("a", FileSlice(tmp_path), ({"segmentation": nothing}, square, {}))
    assert len(read_masks(item, (100, 100))) == 1


def test_of_many_masks_every_nth_is_read(sa1b_tar):
    (item, *_) = read_sources([str(sa1b_tar)]).items
    shape = read_photo(item.file.read()).shape[:2]
    content = json.loads(item.annotations.read())
    many = type(item)(item.name, item.file, tuple(content["annotations"] * 10))
    assert len(read_masks(many, shape, most=4)) == 4


def test_masks_keep_their_place_on_the_grid():
    fit = fit_photo((300, 400), 256)  # content 192 x 256
    mask = np.zeros((300, 400), bool)
    mask[150:, 200:] = True
    speck = np.zeros((300, 400), bool)
    speck[0, 0] = True
    grid = masks_on_grid([mask, speck], fit)
    assert grid.shape == (1, 64, 64)  # the speck is smaller than half a cell
    assert grid[0, 24:48, 32:].all()
    assert grid.sum() == 24 * 32


def test_packed_masks_come_back_as_they_were():
    masks = np.random.default_rng(0).random((3, 5, 7)) > 0.5
    np.testing.assert_array_equal(PackedMasks.of(masks).unpacked(), masks)
