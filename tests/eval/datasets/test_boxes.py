import json

import numpy as np
import pytest

from repvit_sam.eval.datasets.annotations import read_annotations
from repvit_sam.eval.datasets.boxes import ground_truth_boxes, read_boxes

from ..discs import disc_folder, edit_annotations


@pytest.fixture
def folder(tmp_path, formula_photo):
    return disc_folder(tmp_path, formula_photo)


def annotations(folder):
    return read_annotations(folder / "annotations.json", folder / "images")


def row(score=0.5, bbox=(10, 20, 30, 40), image_id=7, category_id=1):
    return {"image_id": image_id, "category_id": category_id, "bbox": list(bbox), "score": score}


def boxes_from(folder, rows, most=100):
    path = folder / "boxes.json"
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return read_boxes(path, annotations(folder), most)


def test_a_detectors_boxes_become_corners_by_falling_score(folder):
    found = boxes_from(folder, [row(0.2), row(0.9, (1, 2, 3, 4)), row(0.5, (5, 5, 5, 5))], most=2)[7]
    np.testing.assert_array_equal(found.boxes_xyxy, [[1, 2, 4, 6], [5, 5, 10, 10]])
    np.testing.assert_array_equal(found.scores, [0.9, 0.5])
    assert found.annotation_ids is None


def test_boxes_without_a_size_are_dropped(folder):
    assert len(boxes_from(folder, [row(), row(bbox=(4, 4, 0, 9))])[7]) == 1


def test_ground_truth_gives_the_annotations_own_boxes_without_crowds(folder):
    found = ground_truth_boxes(annotations(folder))[7]
    np.testing.assert_array_equal(found.annotation_ids, [1, 2])
    np.testing.assert_array_equal(found.boxes_xyxy[0], [101, 61, 200, 160])
    np.testing.assert_array_equal(found.scores, [1, 1])


def test_an_image_without_a_box_is_left_out(folder):
    def one_more(content):
        content["images"].append({"id": 8, "file_name": "photo.png", "height": 229, "width": 301})

    edit_annotations(folder, one_more)
    assert list(boxes_from(folder, [row()])) == [7]
    assert list(ground_truth_boxes(annotations(folder))) == [7]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(image_id=8), row()], "another data set: 1 of its 2 images are not in annotations.json, the first 8"),
        ([row(category_id=90)], "another data set: it has category 90"),
        ([row(image_id=None)], "without an image_id that is a whole number, got None"),
        ([{"image_id": 7, "score": 1}], "not a COCO results list.*KeyError: 'bbox'"),
        ([row(bbox=(1, 2, 3))], "not a COCO results list"),
        ([row(bbox=(1, 2, float("nan"), 4))], "not finite"),
        ([row(score=float("nan"))], "not finite"),
        ({"images": []}, "not a COCO results list"),
        ("no json", "not a COCO results list"),
    ],
)
def test_a_file_of_something_else_is_refused_in_a_sentence(folder, rows, words):
    with pytest.raises(ValueError, match=words):
        boxes_from(folder, rows)


def test_a_detector_may_have_found_nothing(folder):
    assert boxes_from(folder, []) == {}


def test_ground_truth_without_a_box_is_named(folder):
    edit_annotations(folder, lambda content: content["annotations"][1].pop("bbox"))
    with pytest.raises(ValueError, match=r"annotation 2 of .* has no bbox"):
        ground_truth_boxes(annotations(folder))


def test_a_missing_file_is_named(folder):
    with pytest.raises(ValueError, match=r"none.json is missing; --boxes takes .* the word ground-truth"):
        read_boxes(folder / "none.json", annotations(folder), 100)
