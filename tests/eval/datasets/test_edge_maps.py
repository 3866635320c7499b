import numpy as np
import pytest
from PIL import Image

from repvit_sam.eval.datasets.edge_maps import edge_map_hw, find_edge_maps, read_edge_map

VALUES = np.linspace(0, 1, 12).reshape(3, 4)


@pytest.mark.parametrize(("largest", "dtype"), [(255, np.uint8), (65535, np.uint16)])
def test_a_png_is_divided_by_its_largest_value(tmp_path, largest, dtype):
    whole = np.round(VALUES * largest).astype(dtype)
    Image.fromarray(whole).save(tmp_path / "a.png")
    assert edge_map_hw(tmp_path / "a.png") == (3, 4)
    edges = read_edge_map(tmp_path / "a.png")
    assert np.array_equal(edges, whole / largest)
    assert edges.max() == 1


def test_an_8_bit_value_reaches_the_threshold_it_stands_for(tmp_path):
    Image.fromarray(np.array([[51, 102, 153, 204]], np.uint8)).save(tmp_path / "a.png")
    assert (read_edge_map(tmp_path / "a.png") >= [0.2, 0.4, 0.6, 0.8]).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, bool])
def test_an_array_is_taken_as_it_is(tmp_path, dtype):
    np.save(tmp_path / "a.npy", VALUES.astype(dtype))
    assert edge_map_hw(tmp_path / "a.npy") == (3, 4)
    assert np.array_equal(read_edge_map(tmp_path / "a.npy"), VALUES.astype(dtype))


def test_black_and_white_pngs_are_0_and_1(tmp_path):
    Image.fromarray(VALUES > 0.5).save(tmp_path / "a.png")
    assert np.array_equal(read_edge_map(tmp_path / "a.png"), VALUES > 0.5)


def test_maps_are_found_by_the_name_of_the_photo(tmp_path):
    Image.fromarray(VALUES > 0.5).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", VALUES)
    assert find_edge_maps(tmp_path, ["b", "a"]) == {"b": tmp_path / "b.npy", "a": tmp_path / "a.png"}
    with pytest.raises(ValueError, match=r"no edge map of 2 of 3 photos; expected c\.png or \.npy"):
        find_edge_maps(tmp_path, ["a", "c", "d"])
    np.save(tmp_path / "a.npy", VALUES)
    with pytest.raises(ValueError, match=r"both a\.png and a\.npy"):
        find_edge_maps(tmp_path, ["a"])
    with pytest.raises(ValueError, match="is no folder of edge maps"):
        find_edge_maps(tmp_path / "a.png", ["a"])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (VALUES * 2, "floats from 0 to 1, got float64 up to 2"),
        (VALUES - 0.5, "floats from 0 to 1"),
        (np.full((2, 2), np.nan), "floats from 0 to 1"),
        (np.ones((2, 2), int), "floats from 0 to 1, got int64"),
    ],
)
def test_arrays_of_other_values_are_refused(tmp_path, values, reason):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=reason):
        read_edge_map(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.png", "a.npy"])
def test_files_of_another_kind_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(ValueError, match="is not an edge map"):
        read_edge_map(tmp_path / name)


def test_colours_are_refused(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="its mode is RGB, expected greyscale"):
        edge_map_hw(tmp_path / "a.png")
