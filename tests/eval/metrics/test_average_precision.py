import contextlib
import copy
import io

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from repvit_sam.eval.metrics.average_precision import average_recall, coco_precision

from ..rectangles import ALL, annotated, coco_file, found, golden

SMALL, MEDIUM, LARGE = (10, 10, 20, 20), (10, 10, 50, 50), (10, 10, 100, 100)
ELSEWHERE = (130, 120, 20, 20)


def plain_pycocotools(annotations, results, image_ids, use_categories=True, limits=(1, 10, 100)):
    """pycocotools called in the usual way."""
    without_box = [{key: value for key, value in result.items() if key != "bbox"} for result in results]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(annotations)
        coco.createIndex()
        coco_eval = COCOeval(coco, coco.loadRes(without_box), "segm")
        coco_eval.params.imgIds, coco_eval.params.useCats, coco_eval.params.maxDets = (
            image_ids,
            int(use_categories),
            list(limits),
        )
        coco_eval.evaluate()
        coco_eval.accumulate()
        coco_eval.summarize()
    return coco_eval


@pytest.fixture
def scene():
    """24 photos; every seventh annotation is a crowd region, results carry a box that is not that of their mask."""
    annotations = golden("annotations")
    for number, annotation in enumerate(annotations["annotations"]):
        annotation["iscrowd"] = int(number % 7 == 0)
    return annotations, [{**result, "bbox": [0, 0, 5, 5]} for result in golden("results")]


def test_ten_photos_have_the_precision_computed_on_paper():
    """One object in each: small in photos 1 to 4, medium in 5 to 8, large in 9 and 10.

    By falling score: 1 and 2 right; in 3 something else; 4 with IoU 240/384 = 0.625, so right at the IoU thresholds
    0.5, 0.55, 0.6 and wrong at the other seven; 5 and 6 right; in 7 something else; 8 right; in 9 and 10 nothing.
    Precision is taken at the recalls 0, 0.01 ... 1, each time the best at that recall or a higher one.

    All, three thresholds: right, right, -, right, right, right, -, right. At recall 0.1, 0.2 ... 0.6 precision is
        1, 1, 3/4, 4/5, 5/6, 6/8; so 1 up to 0.2, 5/6 up to 0.5, 3/4 up to 0.6, then 0:
        (21 * 1 + 30 * 5/6 + 10 * 3/4) / 101 = 53.5 / 101
    All, seven thresholds: right, right, -, -, right, right, -, right. At recall 0.1 ... 0.5 precision is 1, 1, 3/5,
        4/6, 5/8; so 1 up to 0.2, 2/3 up to 0.4, 5/8 up to 0.5:
        (21 * 1 + 20 * 2/3 + 10 * 5/8) / 101 = 40.583 / 101
    Small: right, right, -, right of four objects: 1 up to 0.5, 3/4 up to 0.75: (51 + 25 * 3/4) / 101 = 69.75 / 101;
        at the seven thresholds 51 / 101
    Medium: right, right, -, right of four: 69.75 / 101.  Large: 0.
    """
    tall, part_of_it = (10, 10, 16, 24), (10, 10, 16, 15)
    objects = [SMALL, SMALL, SMALL, tall, MEDIUM, MEDIUM, MEDIUM, MEDIUM, LARGE, LARGE]
    answers = [SMALL, SMALL, ELSEWHERE, part_of_it, MEDIUM, MEDIUM, (120, 120, 50, 50), MEDIUM]
    annotations = coco_file(range(1, 11), *(annotated(photo, box) for photo, box in enumerate(objects, 1)))
    results = [found(photo, 1 - photo / 20, box) for photo, box in enumerate(answers, 1)]

    figures = coco_precision(annotations, results, range(1, 11))

    at_three, at_seven = 53.5 / 101, (21 + 20 * 2 / 3 + 10 * 5 / 8) / 101
    paper = {
        "AP": (3 * at_three + 7 * at_seven) / 10, "AP50": at_three, "AP75": at_seven,
        "APs": (3 * 69.75 + 7 * 51) / 10 / 101, "APm": 69.75 / 101, "APl": 0,
        "AR@1": (3 * 0.6 + 7 * 0.5) / 10, "AR@10": (3 * 0.6 + 7 * 0.5) / 10, "AR@100": (3 * 0.6 + 7 * 0.5) / 10,
        "ARs@100": (3 * 0.75 + 7 * 0.5) / 10, "ARm@100": 0.75, "ARl@100": 0,
    }  # fmt: skip
    assert figures == pytest.approx(paper, abs=1e-12)


@pytest.mark.parametrize("every", [1, 2])
def test_the_figures_are_those_of_plain_pycocotools(scene, every):
    annotations, results = scene
    image_ids = list(range(1, 25, every))
    results = [result for result in results if result["image_id"] in image_ids]
    figures = coco_precision(annotations, results, image_ids)
    assert list(figures.values()) == pytest.approx(plain_pycocotools(annotations, results, image_ids).stats, abs=1e-12)
    assert 0 < figures["AP"] < figures["AP50"] < 1


def test_a_perfect_predictor_has_precision_1(scene):
    annotations, _ = scene
    coco = COCO()
    coco.dataset = copy.deepcopy(annotations)
    coco.createIndex()
    results = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "segmentation": coco.annToRLE(a), "score": 0.5}
        for a in coco.dataset["annotations"]
        if not a["iscrowd"]
    ]
    figures = coco_precision(annotations, results, range(1, 25))
    for name in ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR@100"):
        assert figures[name] == pytest.approx(1, abs=1e-12)


def test_the_area_is_that_of_the_mask_not_of_the_box():
    annotations = coco_file([1], annotated(1, SMALL))
    too_large = {**found(1, 0.9, ALL), "bbox": [0, 0, 10, 10]}  # its mask is not small
    figures = coco_precision(annotations, [too_large, found(1, 0.5, SMALL)], [1])
    assert figures["APs"] == pytest.approx(1)
    assert figures["AP"] == pytest.approx(0.5)


def test_no_results_are_0_and_what_is_not_annotated_is_none():
    figures = coco_precision(coco_file([1], annotated(1, SMALL)), [], [1])
    assert {figures[name] for name in ("AP", "AP50", "APs", "AR@100")} == {0}
    assert figures["APm"] is figures["APl"] is figures["ARl@100"] is None
    assert set(coco_precision(coco_file([1]), [], [1]).values()) == {None}


def test_photos_that_were_not_evaluated_do_not_count():
    annotations = coco_file([1, 2], annotated(1, SMALL), annotated(2, SMALL))
    assert coco_precision(annotations, [found(1, 0.9, SMALL)], [1])["AP"] == pytest.approx(1)
    assert coco_precision(annotations, [found(1, 0.9, SMALL)], [1, 2])["AP"] == pytest.approx(51 / 101)


def test_an_annotation_with_the_id_0_can_be_found():
    annotations = coco_file([1], annotated(1, SMALL, id=0))
    assert coco_precision(annotations, [found(1, 0.9, SMALL)], [1])["AP"] == pytest.approx(1)


def test_nothing_is_changed_and_nothing_printed(scene, capsys):
    before = copy.deepcopy(scene)
    coco_precision(*scene, range(1, 25))
    average_recall(*scene, range(1, 25))
    assert scene == before
    assert capsys.readouterr() == ("", "")


def test_average_recall_takes_the_best_proposals_of_any_category():
    annotations = coco_file(
        [1], annotated(1, SMALL), annotated(1, (50, 10, 50, 50), category_id=2), annotated(1, ELSEWHERE, iscrowd=1)
    )
    part = (50, 10, 50, 31)  # IoU 0.62: three of ten thresholds
    proposals = [found(1, 0.9, ELSEWHERE), found(1, 0.8, SMALL, category_id=3), found(1, 0.7, part, category_id=77)]
    del proposals[1]["category_id"]
    figures = average_recall(annotations, proposals, [1], limits=(1, 2, 3))
    assert figures == pytest.approx(
        {"AR@1": 0, "AR@2": 0.5, "AR@3": (1 + 0.3) / 2, "ARs@3": 1, "ARm@3": 0.3, "ARl@3": None}
    )


def test_average_recall_is_that_of_pycocotools_without_categories(scene):
    annotations, results = scene
    listed = {category["id"] for category in annotations["categories"]}
    # no ties: among equal scores pycocotools would go by category
    results = [{**r, "score": r["score"] + k * 1e-6} for k, r in enumerate(results) if r["category_id"] in listed]
    figures = average_recall(annotations, results, range(1, 25), limits=(10, 100, 300))
    recall = plain_pycocotools(annotations, results, list(range(1, 25)), False, (10, 100, 300)).eval["recall"]
    assert figures["AR@10"] == pytest.approx(recall[:, 0, 0, 0].mean(), abs=1e-12)
    assert figures["AR@300"] == pytest.approx(recall[:, 0, 0, 2].mean(), abs=1e-12)
    assert figures["ARm@300"] == pytest.approx(recall[:, 0, 2, 2].mean(), abs=1e-12)
    assert figures["AR@10"] < figures["AR@100"] < figures["AR@300"]


def test_the_thousandth_proposal_counts_and_the_next_does_not():
    annotations = coco_file([1], annotated(1, SMALL))
    others = [found(1, 0.9, ELSEWHERE)] * 999
    figures = average_recall(annotations, [found(1, 0.5, SMALL), *others], [1])
    assert (figures["AR@100"], figures["AR@1000"]) == (0, 1)
    assert average_recall(annotations, [found(1, 0.5, SMALL), *others, others[0]], [1])["AR@1000"] == 0


def test_limits_below_1_are_refused():
    with pytest.raises(ValueError, match="from 1 on"):
        average_recall(coco_file([1]), [], [1], limits=(0, 10))
