from pathlib import Path

import numpy as np
import pytest

from repvit_sam.eval.datasets.annotations import Annotations
from repvit_sam.eval.metrics.average_precision import average_recall
from repvit_sam.eval.metrics.box_recall import average_box_recall
from repvit_sam.eval.metrics.proposals import LIMITS, best_proposals, mean_recall, photo_recall, rank_proposals

from ..rectangles import PHOTO_HW, annotated, coco_file, found


def test_recall_of_single_photos_adds_up_to_that_of_all():
    """Sizes on both sides of the borders and on one, a photo without proposals, one without annotations."""
    chance = np.random.default_rng(0)
    boxes = [[(5, 5, 32, 32), (60, 10, 100, 96), (20, 120, 12, 9)], [(10, 10, 96, 96)], [(3, 3, 30, 50), (50, 9, 9, 9)]]
    truths = [annotated(n, box, bbox=list(box)) for n, many in enumerate(boxes, 1) for box in many]
    content = coco_file([1, 2, 3, 4], *truths)
    annotations = Annotations(Path("a.json"), content, (1, 2, 3, 4), {})
    proposals = {n: [] for n in (1, 2, 3)}
    for n, many in enumerate(boxes[:2], 1):
        for box in many * 8:
            moved = np.clip(np.array(box) + chance.integers(-4, 5, 4), 1, min(PHOTO_HW) - 101)
            proposals[n].append(found(n, float(chance.random()), moved))
    records = [photo_recall(proposals[n], annotations, n) for n in (1, 2, 3)]
    together = [one for many in proposals.values() for one in many]
    for kind, recall in (("masks", average_recall), ("boxes", average_box_recall)):
        expected = recall(content, together, [1, 2, 3, 4], LIMITS)
        assert mean_recall(records, kind) == pytest.approx(expected)
        assert 0.1 < expected["AR@1000"] < 0.9
        assert expected["AR@10"] < expected["AR@1000"]


def test_proposals_are_ranked_as_asked_and_cut_at_1000():
    some = [{"segmentation": n, "predicted_iou": n / 2000, "stability_score": 1 - n / 1000} for n in range(1001)]
    assert [one["segmentation"] for one in rank_proposals(some, "predicted-iou")][:2] == [1000, 999]
    assert [one["segmentation"] for one in rank_proposals(some, "stability")][:2] == [0, 1]
    best = rank_proposals(some, "mean")
    assert best[0] == {"segmentation": 0, "score": 0.5}
    assert best[-1] == {"segmentation": 999, "score": pytest.approx((0.4995 + 0.001) / 2)}


def test_the_best_proposal_of_an_annotation_is_kept():
    content = coco_file([1], annotated(1, (10, 10, 40, 40)), annotated(1, (150, 100, 20, 20)))
    annotations = Annotations(Path("a.json"), content, (1,), {})
    near, far = found(1, 0.1, (10, 10, 40, 30)), found(1, 0.9, (10, 10, 20, 20))
    best = best_proposals([far, near], annotations, annotations.by_image[1])
    assert best == [{"annotation_id": 1, "iou": 0.75, "segmentation": near["segmentation"]}]
    assert best_proposals([], annotations, annotations.by_image[1]) == []
