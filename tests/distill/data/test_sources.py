import io
import json
import tarfile

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from repvit_sam.distill.data.sources import PhotoItem, Place, find_photos, read_masks
from repvit_sam.photo import read_photo


def rle_of(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def add(tar, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


@pytest.fixture
def sa1b_tar(tmp_path, photos_folder):
    """Three photos with their json, as in SA-1B."""
    path = tmp_path / "sa_000020.tar"
    with tarfile.open(path, "w") as tar:
        for number, photo_path in enumerate(sorted(photos_folder.glob("*.jpg"))[:3]):
            height, width = read_photo(photo_path).shape[:2]
            mask = np.zeros((height, width), bool)
            mask[height // 4 : height // 2, width // 4 : width // 2] = True
            add(tar, f"./sa_{number}.jpg", photo_path.read_bytes())
            annotation = {"image": {"image_id": number}, "annotations": [{"id": 1, "segmentation": rle_of(mask)}]}
            add(tar, f"./sa_{number}.json", json.dumps(annotation).encode())
    return path


def test_a_folder_gives_its_photos_in_name_order(photos_folder):
    items = find_photos([str(photos_folder)]).items
    assert len(items) == 32
    assert [item.name for item in items] == sorted(item.name for item in items)
    assert items[0].name == "photos/astronaut_0.jpg"


def test_an_sa1b_tar_is_read_in_place_with_its_masks(sa1b_tar):
    photos = find_photos([str(sa1b_tar)])
    assert [item.name for item in photos.items] == [f"sa_000020.tar/sa_{n}.jpg" for n in range(3)]
    photo = read_photo(photos.items[1].place.read())
    (mask,) = read_masks(photos.items[1], photo.shape[:2])
    height, width = photo.shape[:2]
    assert mask.sum() == (height // 2 - height // 4) * (width // 2 - width // 4)


def test_a_tar_that_was_cut_off_gives_what_is_whole_and_names_the_rest(sa1b_tar):
    data = sa1b_tar.read_bytes()
    with tarfile.open(sa1b_tar) as tar:
        last_photo = tar.getmember("./sa_2.jpg")
    sa1b_tar.write_bytes(data[: last_photo.offset_data + 1000])
    photos = find_photos([str(sa1b_tar)])
    assert len(photos.items) == 2
    assert photos.torn == ("sa_000020.tar/./sa_2.jpg",)


def test_a_damaged_header_costs_its_member_alone(sa1b_tar):
    with tarfile.open(sa1b_tar) as tar:
        second = tar.getmember("./sa_1.jpg")
    data = bytearray(sa1b_tar.read_bytes())
    data[second.offset : second.offset + 512] = b"\xff" * 512
    sa1b_tar.write_bytes(data)
    photos = find_photos([str(sa1b_tar)])
    assert [item.name[-8:] for item in photos.items] == ["sa_0.jpg", "sa_2.jpg"]
    assert len(photos.torn) == 1


def test_a_tar_cut_between_members_or_empty_is_named_and_the_others_are_read(tmp_path, sa1b_tar):
    with tarfile.open(sa1b_tar) as tar:
        second = tar.getmember("./sa_1.jpg")
    cut = sa1b_tar.read_bytes()[: second.offset]
    sa1b_tar.write_bytes(cut)
    (tmp_path / "sa_000021.tar").write_bytes(b"")
    photos = find_photos([str(tmp_path)])
    assert len(photos.items) == 1
    assert photos.torn[0] == f"sa_000020.tar after byte {len(cut)}"
    assert "sa_000021.tar (no tar archive" in photos.torn[1]


@pytest.mark.parametrize("nothing", [[], [[]], None, [[1, 2]], [[1, 2, 3, 4]], {"size": [5, 5]}, "x"])
def test_an_annotation_without_a_mask_costs_itself_alone(nothing, tmp_path):
    square = {"segmentation": [[10, 10, 60, 10, 60, 60, 10, 60]]}
    item = PhotoItem("a", Place(tmp_path), ({"segmentation": nothing}, square, {}))
    assert len(read_masks(item, (100, 100))) == 1


def test_coco_annotations_become_masks_without_crowds(tmp_path, formula_photo):
    from PIL import Image

    (tmp_path / "images").mkdir()
    Image.fromarray(formula_photo).save(tmp_path / "images" / "a.png")
    square = [[10, 10, 60, 10, 60, 60, 10, 60]]
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": square, "area": 2500, "bbox": []},
        {"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 1, "segmentation": rle_of(formula_photo[..., 0] > 99),
         "area": 1, "bbox": []},
    ]  # fmt: skip
    content = {"images": [{"id": 1, "file_name": "a.png", "height": 229, "width": 301}], "annotations": annotations,
               "categories": [{"id": 1, "name": "x"}]}  # fmt: skip
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    (item,) = find_photos([str(tmp_path)]).items
    (mask,) = read_masks(item, (229, 301))
    assert mask.sum() == pytest.approx(2500, rel=0.05)
    same = find_photos([{"images": str(tmp_path / "images"), "annotations": str(tmp_path / "annotations.json")}])
    assert same.items[0].annotations == item.annotations


def test_a_list_names_sources_relative_to_itself(tmp_path, photos_folder, sa1b_tar):
    words = ["# photos", str(photos_folder), sa1b_tar.name + "  # SA-1B"]
    (tmp_path / "all.txt").write_text("\n".join(words))
    assert len(find_photos([str(tmp_path / "all.txt")]).items) == 35


def test_of_many_masks_every_nth_is_read(sa1b_tar):
    (item, *_) = find_photos([str(sa1b_tar)]).items
    shape = read_photo(item.place.read()).shape[:2]
    content = json.loads(item.annotations.read())
    many = type(item)(item.name, item.place, tuple(content["annotations"] * 10))
    assert len(read_masks(many, shape, most=4)) == 4


def test_the_manifest_changes_with_the_photos(photos_folder):
    photos = find_photos([str(photos_folder)])
    assert photos.manifest() == find_photos([str(photos_folder)]).manifest()
    assert photos.manifest()["sha256"] != photos.limited(31).manifest()["sha256"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: [str(folder / "nowhere")], "does not exist"),
        (lambda folder: [str(folder)], "holds no photo"),
        (lambda folder: [{"images": "x"}], "two keys images and annotations"),
        (lambda folder: [{"images": str(folder), "annotations": str(folder / "a.json")}], "COCO annotations in"),
    ],
)
def test_what_is_no_source_says_so(make, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        find_photos(make(tmp_path))


def test_two_photos_of_one_name_are_refused(photos_folder):
    with pytest.raises(ValueError, match=r"two photos are called photos/astronaut_0.jpg"):
        find_photos([str(photos_folder), str(photos_folder)])


def test_a_text_file_called_tar_is_no_archive(tmp_path):
    (tmp_path / "x.tar").write_text("hello" * 300)
    with pytest.raises(ValueError, match=r"no tar archive|holds no photo"):
        find_photos([str(tmp_path / "x.tar")])
