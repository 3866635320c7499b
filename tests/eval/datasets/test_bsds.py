import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from repvit_sam.eval.datasets.bsds import annotated_photos, read_boundaries


def save_truth(path, *boundaries):
    """As the files of BSDS500: a 1 x N cell of structs."""
    people = np.empty((1, len(boundaries)), dtype=object)
    for k, boundary in enumerate(boundaries):
        segments = np.ones(boundary.shape, np.uint16)
        people[0, k] = {"Segmentation": segments, "Boundaries": boundary.astype(np.uint8)}
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"groundTruth": people}, do_compression=True)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("7", "12", "100"):
        Image.new("RGB", (8, 6)).save(tmp_path / "images" / f"{name}.jpg")
        save_truth(tmp_path / "groundTruth" / f"{name}.mat", np.eye(6, 8), np.zeros((6, 8)))
    return tmp_path


def test_photos_come_with_their_truth_by_name(folder):
    photos = annotated_photos(folder)
    assert [photo.name for photo in photos] == ["100", "12", "7"]
    assert photos[1].photo == folder / "images" / "12.jpg"
    assert photos[1].truth == folder / "groundTruth" / "12.mat"
    assert annotated_photos(folder, limit=2) == photos[:2]


def test_the_two_folders_may_lie_elsewhere(folder):
    by_hand = annotated_photos(None, folder / "images", folder / "groundTruth")
    assert by_hand == annotated_photos(folder)
    assert [photo.photo for photo in annotated_photos(None, truth=folder / "groundTruth")] == [None] * 3


def test_boundaries_are_those_of_each_person(folder):
    first, second = read_boundaries(folder / "groundTruth" / "7.mat")
    assert first.dtype == bool
    assert np.array_equal(first, np.eye(6, 8, dtype=bool))
    assert not second.any()


def test_a_folder_of_another_kind_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="is no BSDS folder: expected"):
        annotated_photos(folder / "images")
    with pytest.raises(ValueError, match=r"holds no \.mat files"):
        annotated_photos(None, truth=folder / "images")
    (folder / "groundTruth" / "12.mat").unlink()
    with pytest.raises(ValueError, match=r"12 is in .*images but not in .*groundTruth"):
        annotated_photos(folder)


@pytest.mark.parametrize("content", ["nothing", "text", "cut off", "another variable", "no boundaries"])
def test_a_file_that_is_no_truth_is_refused_in_one_sentence(folder, content):
    path = folder / "groundTruth" / "7.mat"
    if content == "another variable":
        savemat(path, {"segmentation": np.eye(3)})
    elif content == "no boundaries":
        savemat(path, {"groundTruth": np.eye(3)})
    else:
        whole = path.read_bytes()
        path.write_bytes({"nothing": b"", "text": b"hello " * 100, "cut off": whole[: len(whole) // 2]}[content])
    with pytest.raises(ValueError, match=r"7\.mat holds no groundTruth with Boundaries") as error:
        read_boundaries(path)
    assert "\n" not in str(error.value)


def test_people_who_drew_on_photos_of_several_sizes_are_refused(folder):
    save_truth(folder / "groundTruth" / "7.mat", np.eye(6), np.eye(7))
    with pytest.raises(ValueError, match=r"one size, got \(6, 6\), \(7, 7\)"):
        read_boundaries(folder / "groundTruth" / "7.mat")
