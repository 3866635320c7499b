import tarfile

import pytest

from repvit_sam.distill.data.masks import read_masks
from repvit_sam.distill.data.sources import read_sources
from repvit_sam.photo import read_photo


def test_an_sa1b_tar_is_read_in_place_with_its_masks(sa1b_tar):
    photos = read_sources([str(sa1b_tar)])
    assert [item.name for item in photos.items] == [f"sa_000020.tar/sa_{n}.jpg" for n in range(3)]
    photo = read_photo(photos.items[1].file.read())
    (mask,) = read_masks(photos.items[1], photo.shape[:2])
    height, width = photo.shape[:2]
    assert mask.sum() == (height // 2 - height // 4) * (width // 2 - width // 4)


def test_a_tar_that_was_cut_off_gives_what_is_whole_and_names_the_rest(sa1b_tar):
    data = sa1b_tar.read_bytes()
    with tarfile.open(sa1b_tar) as tar:
        last_photo = tar.getmember("./sa_2.jpg")
    sa1b_tar.write_bytes(data[: last_photo.offset_data + 1000])
    photos = read_sources([str(sa1b_tar)])
    assert len(photos.items) == 2
    assert photos.incomplete == ("sa_000020.tar/./sa_2.jpg",)


def test_a_damaged_header_costs_its_member_alone(sa1b_tar):
    with tarfile.open(sa1b_tar) as tar:
        second = tar.getmember("./sa_1.jpg")
    data = bytearray(sa1b_tar.read_bytes())
    data[second.offset : second.offset + 512] = b"\xff" * 512
    sa1b_tar.write_bytes(data)
    photos = read_sources([str(sa1b_tar)])
    assert [item.name[-8:] for item in photos.items] == ["sa_0.jpg", "sa_2.jpg"]
    assert len(photos.incomplete) == 1


def test_a_tar_cut_between_members_or_empty_is_named_and_the_others_are_read(tmp_path, sa1b_tar):
    with tarfile.open(sa1b_tar) as tar:
        second = tar.getmember("./sa_1.jpg")
    cut = sa1b_tar.read_bytes()[: second.offset]
    sa1b_tar.write_bytes(cut)
    (tmp_path / "sa_000021.tar").write_bytes(b"")
    photos = read_sources([str(tmp_path)])
    assert len(photos.items) == 1
    assert photos.incomplete[0] == f"sa_000020.tar after byte {len(cut)}"
    assert "sa_000021.tar (no tar archive" in photos.incomplete[1]


def test_a_text_file_called_tar_is_not_an_archive(tmp_path):
    (tmp_path / "x.tar").write_text("hello" * 300)
    with pytest.raises(ValueError, match=r"no tar archive|holds no photo"):
        read_sources([str(tmp_path / "x.tar")])
