import os
import time

import pytest

from repvit_sam.app.labelling.photo_folder import PhotoFolder
from repvit_sam.app.schemas import RequestError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_photos_are_found_in_all_folders_and_sorted_as_people_count(tmp_path):
    touch(tmp_path, "photo10.jpg", "photo2.JPG", "b/1.png", "notes.txt", ".hidden/1.jpg", ".thumb.jpg", "a\nb.jpg")
    assert PhotoFolder(tmp_path).names == ("b/1.png", "photo2.JPG", "photo10.jpg")


def test_names_of_digits_and_letters_can_be_sorted_together(tmp_path):
    touch(tmp_path, "1.jpg", "a.jpg", "1a.jpg", "-.jpg", "a1.jpg")
    assert len(PhotoFolder(tmp_path).names) == 5


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "b.jpg", "", "."])
def test_only_photos_on_the_list_have_a_path(tmp_path, name):
    touch(tmp_path, "photos/a.jpg", "secret.jpg")
    with pytest.raises(RequestError, match="not a photo of this folder"):
        PhotoFolder(tmp_path / "photos").path_of(name)


def test_links_to_files_outside_are_left_out(tmp_path):
    touch(tmp_path, "photos/a.jpg", "secret.jpg")
    os.symlink(tmp_path / "secret.jpg", tmp_path / "photos/link.jpg")
    os.symlink(tmp_path / "photos/a.jpg", tmp_path / "photos/inside.jpg")
    os.symlink(tmp_path, tmp_path / "photos/up")
    assert PhotoFolder(tmp_path / "photos").names == ("a.jpg", "inside.jpg")


def test_a_coco_file_may_name_photos_by_path_or_by_file(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/1.jpg", "b/2.jpg")
    folder = PhotoFolder(tmp_path)
    assert folder.name_of("b/2.jpg") == folder.name_of("2.jpg") == folder.name_of("val\\2.jpg") == "b/2.jpg"
    assert folder.name_of("1.jpg") is None  # there are two
    assert folder.name_of("3.jpg") is None


def test_new_photos_are_found_by_scanning_again(tmp_path):
    touch(tmp_path, "a.jpg")
    folder = PhotoFolder(tmp_path)
    touch(tmp_path, "b.jpg")
    folder.scan()
    assert folder.path_of("b.jpg") == tmp_path / "b.jpg"


def test_a_file_is_no_folder(tmp_path):
    touch(tmp_path, "a.jpg")
    with pytest.raises(NotADirectoryError, match=r"a.jpg is not a folder; give one with photos"):
        PhotoFolder(tmp_path / "a.jpg")


def test_five_thousand_photos_are_listed_in_a_moment(tmp_path):
    touch(tmp_path, *(f"{number}.jpg" for number in range(5000)))
    started = time.perf_counter()
    assert len(PhotoFolder(tmp_path).names) == 5000
    assert time.perf_counter() - started < 2
