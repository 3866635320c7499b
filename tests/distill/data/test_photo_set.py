import pytest

from repvit_sam.distill.data.photo_set import FileSlice
from repvit_sam.distill.data.sources import read_sources


def test_the_manifest_changes_with_the_photos(photos_folder):
    photos = read_sources([str(photos_folder)])
    assert photos.manifest() == read_sources([str(photos_folder)]).manifest()
    assert photos.manifest()["sha256"] != photos.limited(31).manifest()["sha256"]


def test_a_slice_of_a_file_that_got_shorter_is_an_error(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"0123456789")
    assert FileSlice(tmp_path / "a.tar", 2, 3).read() == b"234"
    with pytest.raises(OSError, match="cut off at byte 10"):
        FileSlice(tmp_path / "a.tar", 8, 3).read()
