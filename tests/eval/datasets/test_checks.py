import json

import numpy as np
import pytest
from PIL import Image

from repvit_sam.eval.datasets.annotations import read_annotations
from repvit_sam.eval.datasets.boxes import Boxes
from repvit_sam.eval.datasets.checks import check_boxes, check_instances

from ..discs import disc_folder, edit_annotations


@pytest.fixture
def folder(tmp_path, formula_photo):
    return disc_folder(tmp_path, formula_photo)


def read(folder):
    return read_annotations(folder / "annotations.json", folder / "images")


def test_a_valid_folder_passes(folder):
    check_instances(read(folder))


def first(name, value):
    return lambda content: content["annotations"][0].update({name: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (first("segmentation", []), "annotation 1 of .*annotations.json has no segmentation"),
        (first("segmentation", [1, 2, 3, 4, 5, 6]), "annotation 1 .* a list of polygons"),
        (first("segmentation", {"size": [5, 5], "counts": "0"}), "annotation 1 .* must have an RLE of the size"),
        (lambda content: content["annotations"][1].pop("area"), "annotation 2 .* has no area"),
        (lambda content: content["images"][0].pop("height"), "image 7 has no height"),
        (lambda content: content["images"][0].update(width=300), "photo.png is 301x229 .* for 300x229"),
        (lambda content: content["images"][0].update(id="im7"), "image ids must be whole numbers.*'im7'"),
    ],
)  # fmt: skip
def test_what_would_fail_after_hours_is_refused_at_once(folder, change, words):
    edit_annotations(folder, change)
    with pytest.raises(ValueError, match=words):
        check_instances(read(folder))


def test_annotations_of_photos_beyond_the_limit_are_not_checked(folder):
    def one_more(content):
        content["images"].append({"id": 9, "file_name": "gone.png", "height": 2, "width": 2})
        content["annotations"].append({"id": 9, "image_id": 9})

    edit_annotations(folder, one_more)
    check_instances(read_annotations(folder / "annotations.json", folder / "images", limit=1))


def test_a_box_far_outside_is_named_by_file_and_image(folder):
    def prompts(x1):
        return {7: Boxes(np.array([[0.0, 0, x1, 50]]), np.ones(1), np.ones(1, np.int64))}

    check_boxes("boxes.json", prompts(310), read(folder))
    with pytest.raises(ValueError, match=r"boxes.json, image 7: box must be in pixels of the photo, 301 wide.* x=3000"):
        check_boxes("boxes.json", prompts(3000), read(folder))


def test_a_photo_turned_by_exif_has_another_size_than_its_annotations(folder, formula_photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(formula_photo).save(folder / "images" / "photo.jpg", exif=exif)
    edit_annotations(folder, lambda content: content["images"][0].update(file_name="photo.jpg"))
    with pytest.raises(ValueError, match="is 229x301 "):
        check_instances(read(folder))


def test_a_file_that_is_no_photo_is_named(folder):
    (folder / "images" / "photo.png").write_text(json.dumps("no photo"))
    with pytest.raises(ValueError, match=r"photo.png cannot be read as a photo"):
        check_instances(read(folder))
