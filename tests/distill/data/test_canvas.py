import numpy as np
import pytest
import torch

from repvit_sam.canvas import photo_to_canvas
from repvit_sam.distill.data.canvas import embedding_cells, normalise, read_canvas, read_canvases
from repvit_sam.distill.data.photo_set import FileSlice, PhotoItem
from repvit_sam.distill.data.sources import read_sources
from repvit_sam.errors import PhotoError
from repvit_sam.photo import read_photo


def test_a_canvas_is_the_librarys_to_the_bit(photos_folder):
    items = read_sources([str(photos_folder)]).items[::7]
    for item in items:
        read = read_canvas(item, 256)
        expected, fit = photo_to_canvas(read_photo(item.file.read()), 256)
        assert read.content_hw == fit.content_hw
        ours = normalise(read.canvas[None], torch.tensor([read.content_hw]))
        np.testing.assert_array_equal(ours.numpy(), expected)


def test_cells_count_where_their_centre_shows_photo():
    valid = embedding_cells(torch.tensor([[256, 100]]), 256)
    assert valid.shape == (1, 1, 16, 16)
    assert valid[0, 0].all(0).tolist() == [True] * 6 + [False] * 10  # centres 8, 24, ... 88 lie on it, 104 does not


def test_a_damaged_photo_comes_as_an_error_in_its_place(tmp_path, photos_folder):
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    good = read_sources([str(photos_folder)]).items[:5]
    items = [*good[:2], PhotoItem("bad", FileSlice(tmp_path / "bad.jpg")), *good[2:]]
    read = list(read_canvases(items, 128, workers=1, ahead=2))
    assert [isinstance(canvas, PhotoError) for canvas in read] == [False, False, True, False, False, False]
    assert "bad" in str(read[2])


def test_a_file_that_got_shorter_is_damaged(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"123")
    with pytest.raises(PhotoError, match="cut off"):
        read_canvas(PhotoItem("a", FileSlice(tmp_path / "a.jpg", 0, 10)), 128)
