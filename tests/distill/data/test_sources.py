import json

import pytest
from PIL import Image

from repvit_sam.distill.data.masks import read_masks
from repvit_sam.distill.data.sources import read_sources

from ..tars import rle_of


def test_a_folder_gives_its_photos_in_name_order(photos_folder):
    items = read_sources([str(photos_folder)]).items
    assert len(items) == 32
    assert [item.name for item in items] == sorted(item.name for item in items)
    assert items[0].name == "photos/astronaut_0.jpg"


def test_coco_annotations_become_masks_without_crowds(tmp_path, formula_photo):
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
    (item,) = read_sources([str(tmp_path)]).items
    (mask,) = read_masks(item, (229, 301))
    assert mask.sum() == pytest.approx(2500, rel=0.05)
    same = read_sources([{"images": str(tmp_path / "images"), "annotations": str(tmp_path / "annotations.json")}])
    assert same.items[0].annotations == item.annotations
    (tmp_path / "images" / "a.png").rename(tmp_path / "a.png")  # beside the annotations, as `repvit-sam label` has them
    (tmp_path / "images").rmdir()
    assert read_sources([str(tmp_path)]).items[0].annotations == item.annotations


def test_a_list_names_sources_relative_to_itself(tmp_path, photos_folder, sa1b_tar):
    words = ["# photos", str(photos_folder), sa1b_tar.name + "  # SA-1B"]
    (tmp_path / "all.txt").write_text("\n".join(words))
    assert len(read_sources([str(tmp_path / "all.txt")]).items) == 35


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
        read_sources(make(tmp_path))


def test_two_photos_of_one_name_are_refused(photos_folder):
    with pytest.raises(ValueError, match=r"two photos are called photos/astronaut_0.jpg"):
        read_sources([str(photos_folder), str(photos_folder)])
