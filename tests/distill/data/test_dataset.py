import numpy as np
import pytest
import torch

from repvit_sam.canvas import fit_photo, photo_to_canvas
from repvit_sam.distill.data.dataset import masks_on_grid, normalised, read_ahead, read_canvas, valid_cells
from repvit_sam.distill.data.sources import PhotoItem, Place, find_photos
from repvit_sam.errors import PhotoError
from repvit_sam.photo import read_photo


def test_a_canvas_is_the_librarys_to_the_bit(photos_folder):
    items = find_photos([str(photos_folder)]).items[::7]
    for item in items:
        read = read_canvas(item, 256)
        expected, fit = photo_to_canvas(read_photo(item.place.read()), 256)
        assert read.content_hw == fit.content_hw
        ours = normalised(read.canvas[None], torch.tensor([read.content_hw]))
        np.testing.assert_array_equal(ours.numpy(), expected)


def test_cells_count_where_their_centre_shows_photo():
    valid = valid_cells(torch.tensor([[256, 100]]), 256)
    assert valid.shape == (1, 1, 16, 16)
    assert valid[0, 0].all(0).tolist() == [True] * 6 + [False] * 10  # centres 8, 24, ... 88 lie on it, 104 does not


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


def test_a_damaged_photo_comes_as_an_error_in_its_place(tmp_path, photos_folder):
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    good = find_photos([str(photos_folder)]).items[:5]
    items = [*good[:2], PhotoItem("bad", Place(tmp_path / "bad.jpg")), *good[2:]]
    read = list(read_ahead(items, 128, workers=1, ahead=2))
    assert [isinstance(canvas, PhotoError) for canvas in read] == [False, False, True, False, False, False]
    assert "bad" in str(read[2])


def test_a_file_that_got_shorter_is_damaged(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"123")
    with pytest.raises(PhotoError, match="cut off"):
        read_canvas(PhotoItem("a", Place(tmp_path / "a.jpg", 0, 10)), 128)
