import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from repvit_sam.eval.datasets.annotations import annotation_rle, read_annotations
from repvit_sam.rle import decode_rle

from ..discs import disc_folder, edit_annotations


@pytest.fixture
def folder(tmp_path, formula_photo):
    return disc_folder(tmp_path, formula_photo)


def read(folder, limit=None):
    return read_annotations(folder / "annotations.json", folder / "images", limit)


def test_annotations_come_by_image_without_crowds(folder):
    found = read(folder)
    assert found.image_ids == (7,)
    assert found.paths == {7: folder / "images" / "photo.png"}
    assert [annotation["id"] for annotation in found.by_image[7]] == [1, 2]
    assert found.mask_of(found.by_image[7][0]).sum() == found.by_image[7][0]["area"]


def test_polygons_and_both_kinds_of_rle_are_the_same_outline():
    square = [[4.0, 2.0, 10.0, 2.0, 10.0, 8.0, 4.0, 8.0]]
    as_polygon = annotation_rle({"id": 1, "segmentation": square}, 12, 16)
    mask = np.zeros((12, 16), bool)
    mask[2:8, 4:10] = True
    assert (decode_rle(as_polygon) == mask).all()
    runs = [50, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 76]  # down the columns
    assert annotation_rle({"id": 1, "segmentation": {"size": [12, 16], "counts": runs}}, 12, 16) == as_polygon
    packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert annotation_rle({"id": 1, "segmentation": packed}, 12, 16) == as_polygon
    assert annotation_rle({"id": 1, "segmentation": as_polygon}, 12, 16) == as_polygon


def test_an_annotation_without_a_segmentation_is_named():
    with pytest.raises(ValueError, match="annotation 5 has no segmentation"):
        annotation_rle({"id": 5, "segmentation": []}, 12, 16)


@pytest.mark.parametrize("place", ["val2017/photo.png", "photo.png"])
def test_lvis_photos_are_found_by_their_url(folder, place):
    def name_by_url(content):
        content["images"][0].pop("file_name")
        content["images"][0]["coco_url"] = "http://images.cocodataset.org/val2017/photo.png"

    edit_annotations(folder, name_by_url)
    path = folder / "images" / place
    path.parent.mkdir(exist_ok=True)
    (folder / "images" / "photo.png").rename(path)
    assert read(folder).paths == {7: path}


def test_a_url_of_null_is_ignored(folder):
    edit_annotations(folder, lambda content: content["images"][0].update(coco_url=None))
    assert read(folder).paths == {7: folder / "images" / "photo.png"}


def test_missing_photos_are_counted_before_anything_is_computed(folder):
    def one_more(content):
        content["images"].append({"id": 9, "file_name": "gone.png", "height": 2, "width": 2})

    edit_annotations(folder, one_more)
    with pytest.raises(ValueError, match=r"1 of 2 photos of annotations.json are not in .*gone.png"):
        read(folder)
    assert read(folder, limit=1).image_ids == (7,)  # those beyond the limit may be missing


@pytest.mark.parametrize("content", ["[]", "{}", "no json", '{"images": [], "annotations": []}', '{"images": 3}'])
def test_another_file_is_refused_in_a_sentence(folder, content):
    (folder / "annotations.json").write_text(content)
    with pytest.raises(ValueError, match="is not in COCO or LVIS format"):
        read(folder)


def test_wrong_paths_are_named(folder):
    with pytest.raises(ValueError, match=r"other.json is missing"):
        read_annotations(folder / "other.json", folder / "images")
    with pytest.raises(ValueError, match="other/ is missing"):
        read_annotations(folder / "annotations.json", folder / "other")


def test_an_image_without_a_name_is_refused(folder):
    edit_annotations(folder, lambda content: content["images"][0].pop("file_name"))
    with pytest.raises(ValueError, match="image 7 has neither file_name nor coco_url"):
        read(folder)


def test_the_content_of_the_file_is_not_changed(folder):
    assert read(folder).content == json.loads((folder / "annotations.json").read_text())
