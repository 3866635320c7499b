import json
from pathlib import Path

import numpy as np
import pytest

from repvit_sam.detection_files import read_detections
from repvit_sam.errors import PromptError

PHOTO_HW = (400, 600)
IMAGES = [
    {"id": 7, "file_name": "val/a.jpg", "height": 400, "width": 600},
    {"id": 9, "coco_url": "http://images.cocodataset.org/val2017/b.jpg"},
]
CATEGORIES = [{"id": 17, "name": "cat"}, {"id": 47, "name": "cup"}]


def row(score=0.5, bbox=(10, 20, 30, 40), category_id=17, **image):
    return {**image, "category_id": category_id, "bbox": list(bbox), "score": score}


@pytest.fixture
def read(tmp_path):
    """Writes the content as JSON and reads it as detections; the second one as annotations."""

    def write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def read(content, annotations=None):
        return read_detections(
            write("boxes.json", content), None if annotations is None else write("instances.json", annotations)
        )

    return read


def found(file, *photos, **how):
    """The detections of each photo."""
    paths = [Path(photo) for photo in photos]
    return [entries.on_photo(PHOTO_HW, **how) for entries in file.for_photos(paths).values()]


def labels(file, *photos):
    return [detections.labels for detections in found(file, *photos)]


def test_entries_without_an_image_all_belong_to_one_photo_by_falling_score(read):
    (boxes,) = found(read([row(0.2), row(0.9, (1, 2, 3, 4), 47)]), "any/photo.jpg")
    np.testing.assert_array_equal(boxes.boxes_xyxy, [[1, 2, 4, 6], [10, 20, 40, 60]])
    np.testing.assert_array_equal(boxes.scores, [0.9, 0.2])
    np.testing.assert_array_equal(boxes.category_ids, [47, 17])
    assert boxes.labels == ("47", "17")  # nothing names them


def test_file_names_say_which_photo_an_entry_belongs_to(read):
    file = read([row(file_name="a.jpg"), row(file_name="b.jpg", category_id=47), row(file_name="c.jpg")])
    assert labels(file, "x/b.jpg", "x/a.jpg", "x/d.jpg") == [("47",), ("17",), ()]


def test_image_ids_are_looked_up_in_the_annotations(read):
    file = read([row(image_id=9), row(image_id=7, category_id=47)], {"images": IMAGES, "categories": CATEGORIES})
    assert labels(file, "a.jpg", "b.jpg") == [("cup",), ("cat",)]


def test_a_whole_file_has_its_own_images_and_categories_and_may_lack_scores(read):
    whole = {"images": IMAGES, "categories": CATEGORIES, "annotations": [row(image_id=7), row(0.7, image_id=9)]}
    del whole["annotations"][0]["score"]
    whole["annotations"].append({**row(image_id=7), "iscrowd": 1})
    first, second = found(read(whole), "a.jpg", "b.jpg")
    assert (first.labels, second.labels) == (("cat",), ("cat",))
    assert (first.scores[0], second.scores[0]) == (1.0, 0.7)


def test_names_of_the_annotations_fill_in_where_a_whole_file_has_none(read):
    file = read({"images": IMAGES, "annotations": [row(image_id=7)]}, {"images": [], "categories": CATEGORIES})
    assert labels(file, "a.jpg") == [("cat",)]


def test_image_ids_may_be_text(read):
    images = [{"id": "seven", "file_name": "a.jpg"}]
    assert labels(read([row(image_id="seven")], {"images": images}), "a.jpg") == [("17",)]


def test_folders_tell_photos_of_one_name_apart(read):
    file = read([row(file_name="one/a.jpg"), row(file_name="two/a.jpg", category_id=47)])
    assert labels(file, "photos/two/a.jpg", "photos/one/a.jpg") == [("47",), ("17",)]
    with pytest.raises(PromptError, match=r"names one/a.jpg and two/a.jpg, and three/a.jpg may be either"):
        file.for_photos([Path("three/a.jpg")])


def test_two_photos_for_one_name_are_refused(read):
    with pytest.raises(PromptError, match=r"has one a.jpg, which may be one/a.jpg and two/a.jpg"):
        read([row(file_name="a.jpg")]).for_photos([Path("one/a.jpg"), Path("two/a.jpg")])


def test_a_photo_that_the_file_knows_may_have_nothing(read):
    file = read([row(image_id=9)], {"images": IMAGES})
    assert labels(file, "a.jpg") == [()]
    assert labels(read([]), "a.jpg", "b.jpg") == [(), ()]


def test_weak_empty_and_surplus_boxes_are_left_out(read):
    file = read([row(0.3), row(0.6, category_id=47), row(0.9, (4, 4, 0, 9)), row(0.4)])
    assert [len(found(file, "a.jpg", **how)[0]) for how in ({}, {"min_score": 0.4}, {"most": 1})] == [3, 2, 1]
    assert found(file, "a.jpg", most=1)[0].labels == ("47",)


def test_boxes_are_cut_at_the_photos_edges(read):
    (boxes,) = found(read([row(bbox=(-10, 380, 50, 50))]), "a.jpg")
    np.testing.assert_array_equal(boxes.boxes_xyxy, [[0, 380, 40, 400]])


def test_a_box_far_outside_and_a_photo_of_another_size_are_refused(read):
    with pytest.raises(PromptError, match=r"boxes.json: box must be in pixels of the photo, 600 wide"):
        found(read([row(bbox=(5000, 1, 2, 2))]), "a.jpg")
    with pytest.raises(PromptError, match=r"boxes for a photo of 600x400 pixels, this one is 400x600"):
        read([], {"images": IMAGES}).for_photos([Path("a.jpg")])[Path("a.jpg")].on_photo((600, 400))


@pytest.mark.parametrize(
    ("content", "annotations", "words"),
    [
        ("no json", None, "it is not JSON"),
        ({"images": []}, None, "not a COCO results list: expected .* got a NoneType"),
        ([[1, 2, 3, 4]], None, "not a COCO results list"),
        ([{"category_id": 1, "score": 1}], None, "KeyError: 'bbox'"),
        ([{"category_id": 1, "bbox": [1, 2, 3, 4]}], None, "KeyError: 'score'"),
        ([{"bbox": [1, 2, 3, 4], "score": 1}], None, "KeyError: 'category_id'"),
        ([row(bbox=(1, 2, 3))], None, "not a COCO results list"),
        ([row(category_id="cat")], None, "category_id must be a whole number, got 'cat'"),
        ([row(bbox=(1, 2, float("nan"), 4))], None, "not finite"),
        ([row(float("inf"), image_id=3)], None, "of image 3 is not finite"),
        ([row(image_id=[7])], None, "image_id must be a number or text"),
        ([row(image_id=7)], None, "names its photos by image_id .the first 7.; give the annotations file"),
        ([row(image_id=8)], {"images": IMAGES}, "has boxes for image 8, which the list of images does not have"),
        ([row(image_id=7), row()], {"images": IMAGES}, "1 of 2 entries have neither file_name nor image_id"),
        ([row(image_id=7)], {"images": [{"id": 7}]}, "images are not as in COCO's format"),
        ([row()], {"categories": [{"id": 7}]}, "categories are not as in COCO's format"),
        ([row()], [], "are not as in COCO's format"),
    ],
)
def test_a_file_of_something_else_is_refused_in_a_sentence(read, content, annotations, words):
    with pytest.raises(PromptError, match=words) as caught:
        read(content, annotations)
    assert "\n" not in str(caught.value)


def test_files_that_do_not_fit_the_photos_are_refused(read, tmp_path):
    with pytest.raises(PromptError, match=r"does not say which of its boxes belongs to which of the 2 photos"):
        read([row()]).for_photos([Path("a.jpg"), Path("b.jpg")])
    with pytest.raises(PromptError, match=r"has none of the photos; it is about 2 others: val/a.jpg, val2017/b.jpg"):
        read([row(image_id=7)], {"images": IMAGES}).for_photos([Path("c.jpg")])
    with pytest.raises(PromptError, match=r"none.json is missing; expected a JSON file"):
        read_detections(tmp_path / "none.json")
