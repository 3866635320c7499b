import pytest

from repvit_sam.eval.metrics.average_precision import coco_precision
from repvit_sam.eval.metrics.coco_entries import images_of, truths_of

from ..rectangles import annotated, coco_file, found

SMALL = (10, 10, 20, 20)


def test_truths_are_copies_of_the_annotations_of_the_evaluated_images():
    annotations = coco_file([1, 2], annotated(1, SMALL), annotated(2, SMALL, iscrowd=1), annotated(2, SMALL))
    images = images_of(annotations, [2])
    assert list(images) == [2]
    assert [(truth["id"], truth["iscrowd"]) for truth in truths_of(annotations, images)] == [(2, 1), (3, 0)]
    assert "iscrowd" not in annotations["annotations"][2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_id": 2}, "of images that were evaluated, got one of image 2"),
        ({"segmentation": None}, "has no mask"),
        ({"segmentation": {"size": [200, 240], "counts": [1, 2]}}, "compressed RLE"),
        ({"segmentation": {"size": [240, 200], "counts": "0"}}, "high and wide"),
        ({"score": float("nan")}, "finite 'score'"),
    ],
)
def test_results_that_do_not_fit_are_refused(change, words):
    annotations = coco_file([1, 2], annotated(1, SMALL))
    with pytest.raises(ValueError, match=words):
        coco_precision(annotations, [{**found(1, 0.9, SMALL), **change}], [1])


def test_annotations_that_do_not_fit_are_refused():
    annotations = coco_file([1], annotated(1, SMALL))
    with pytest.raises(ValueError, match="1 images; 5 is not"):
        coco_precision(annotations, [], [5])
    del annotations["annotations"][0]["area"]
    with pytest.raises(ValueError, match="need 'area'"):
        coco_precision(annotations, [], [1])
    with pytest.raises(ValueError, match="have 'images', these have nothing"):
        coco_precision({}, [], [])
