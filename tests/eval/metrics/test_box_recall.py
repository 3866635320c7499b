import pytest

from repvit_sam.eval.metrics.box_recall import average_box_recall

from ..rectangles import coco_file, found


def boxed(box_xywh, area=400):
    return {"image_id": 1, "category_id": 1, "bbox": list(box_xywh), "area": area, "segmentation": [[0, 0, 1, 0, 1, 1]]}


def test_the_box_counts_and_not_the_outline():
    annotations = coco_file([1], boxed((10, 10, 20, 20)))
    figures = average_box_recall(annotations, [found(1, 0.5, (10, 10, 20, 20))], [1])
    assert figures == {
        "AR@10": 1, "AR@100": 1, "AR@1000": 1, "ARs@1000": 1, "ARm@1000": None, "ARl@1000": None
    }  # fmt: skip


def test_a_box_of_four_fifths_counts_at_seven_of_ten_thresholds():
    annotations = coco_file([1], boxed((10, 10, 20, 20)))
    figures = average_box_recall(annotations, [found(1, 0.5, (10, 10, 20, 16))], [1])
    assert figures["AR@10"] == pytest.approx(0.7)  # IoU 0.8: 0.5, 0.55 ... 0.8


def test_only_the_best_proposals_count():
    annotations = coco_file([1], boxed((10, 10, 20, 20)))
    wrong = [found(1, 0.9, (100, 100, 20, 20)) for _ in range(10)]
    figures = average_box_recall(annotations, [*wrong, found(1, 0.5, (10, 10, 20, 20))], [1])
    assert figures["AR@10"] == 0
    assert figures["AR@100"] == 1


def test_annotations_without_boxes_are_refused():
    annotations = coco_file([1], {**boxed((10, 10, 20, 20)), "bbox": None})
    del annotations["annotations"][0]["bbox"]
    with pytest.raises(ValueError, match="no 'bbox'"):
        average_box_recall(annotations, [], [1])
