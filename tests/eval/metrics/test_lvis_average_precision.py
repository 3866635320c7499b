import copy

import pytest
from pycocotools import mask as coco_mask

from repvit_sam.eval.metrics.average_precision import coco_precision
from repvit_sam.eval.metrics.lvis_average_precision import check_lvis, lvis_precision

from ..rectangles import annotated, coco_file, found, golden

HERE, THERE = (10, 10, 50, 50), (120, 100, 50, 50)
NOTHING = (0, 0, 0, 0)
CROWDED = 4  # the photo of lvis_golden with 320 detections


def lvis_file(image_ids, *annotations, absent=None, not_exhaustive=None, frequencies="rcf"):
    """``absent`` and ``not_exhaustive``: categories by image."""
    content = coco_file(image_ids, *annotations)
    for image in content["images"]:
        image["neg_category_ids"] = (absent or {}).get(image["id"], [])
        image["not_exhaustive_category_ids"] = (not_exhaustive or {}).get(image["id"], [])
    for category, frequency in zip(content["categories"], frequencies, strict=True):
        category["frequency"] = frequency
    return content


def test_the_figures_are_those_of_the_original_package():
    """lvis_golden/make.py says how they were made; there each rule moves a figure by more than 1e-5."""
    annotations, results, original = golden("annotations"), golden("results"), golden("figures")
    figures = lvis_precision(annotations, results, range(1, 25))
    assert figures == pytest.approx(original, abs=1e-12)


def test_where_all_categories_were_looked_for_the_values_are_cocos():
    annotations = golden("annotations")
    listed = [category["id"] for category in annotations["categories"]]
    for image in annotations["images"]:
        present = {a["category_id"] for a in annotations["annotations"] if a["image_id"] == image["id"]}
        image["neg_category_ids"] = [category_id for category_id in listed if category_id not in present]
        image["not_exhaustive_category_ids"] = []
    # no empty masks, which only COCO counts, and no more than COCO's 100 in a photo
    masks = [result for result in golden("results") if coco_mask.area(result["segmentation"])]
    results = [r for r in masks if r["image_id"] != CROWDED] + [r for r in masks if r["image_id"] == CROWDED][:100]
    in_lvis, in_coco = (rate(annotations, results, range(1, 25)) for rate in (lvis_precision, coco_precision))
    for name in ("AP", "AP50", "AP75", "APs", "APm", "APl"):
        assert in_lvis[name] == pytest.approx(in_coco[name], abs=1e-12)
    assert in_lvis["AR@300"] == pytest.approx(in_coco["AR@100"], abs=1e-12)
    assert 0 < in_lvis["APs"] < in_lvis["AP50"] < 1


@pytest.mark.parametrize(("absent", "precision"), [({}, 1), ({2: [1]}, 0.5)])
def test_a_detection_is_wrong_only_where_its_category_is_known_to_be_absent(absent, precision):
    annotations = lvis_file([1, 2], annotated(1, HERE), absent=absent)
    results = [found(2, 0.9, HERE), found(1, 0.5, HERE)]
    assert lvis_precision(annotations, results, [1, 2])["AP"] == pytest.approx(precision)


@pytest.mark.parametrize(("not_exhaustive", "precision"), [({}, 0.5), ({1: [1]}, 1)])
def test_an_unmatched_detection_is_ignored_where_annotations_are_not_exhaustive(not_exhaustive, precision):
    annotations = lvis_file([1], annotated(1, HERE), not_exhaustive=not_exhaustive)
    results = [found(1, 0.9, THERE), found(1, 0.5, HERE)]
    assert lvis_precision(annotations, results, [1])["AP"] == pytest.approx(precision)


@pytest.mark.parametrize(("before", "precision"), [(299, 1), (300, 0)])
def test_300_detections_of_all_categories_together_count(before, precision):
    annotations = lvis_file([1], annotated(1, HERE))
    unverified = [found(1, 0.9, THERE, category_id=2)] * before
    assert lvis_precision(annotations, [found(1, 0.5, HERE), *unverified], [1])["AP"] == pytest.approx(precision)


def test_empty_masks_are_not_wrong():
    annotations = lvis_file([1], annotated(1, HERE))
    assert lvis_precision(annotations, [found(1, 0.9, NOTHING), found(1, 0.5, HERE)], [1])["AP"] == pytest.approx(1)


def test_frequencies_have_their_own_precision():
    annotations = lvis_file([1], annotated(1, HERE), annotated(1, THERE, category_id=2))
    figures = lvis_precision(annotations, [found(1, 0.5, HERE)], [1])
    assert figures["AP"] == pytest.approx(0.5)
    assert (figures["APr"], figures["APc"], figures["APf"]) == (pytest.approx(1), 0, None)
    assert (figures["AR@300"], figures["ARs@300"], figures["ARm@300"]) == (0.5, None, 0.5)


def test_no_results_are_0_and_no_annotations_none():
    assert lvis_precision(lvis_file([1], annotated(1, HERE)), [], [1])["AP"] == 0
    assert set(lvis_precision(lvis_file([1]), [found(1, 0.5, HERE)], [1]).values()) == {None}


def test_a_part_of_the_photos_counts_alone():
    annotations = lvis_file([1, 2], annotated(1, HERE), annotated(2, HERE))
    assert lvis_precision(annotations, [found(2, 0.5, HERE)], [2])["AP"] == pytest.approx(1)
    with pytest.raises(ValueError, match="got one of image 1"):
        lvis_precision(annotations, [found(1, 0.5, HERE)], [2])


def test_nothing_is_changed_and_nothing_printed(capsys):
    annotations, results = golden("annotations"), golden("results")
    before = copy.deepcopy((annotations, results))
    lvis_precision(annotations, results, range(1, 25))
    assert (annotations, results) == before
    assert capsys.readouterr() == ("", "")


def test_annotations_of_coco_are_refused():
    annotations = coco_file([1], annotated(1, HERE))
    with pytest.raises(ValueError, match=r"'frequency'.*are these COCO's"):
        check_lvis(annotations, [1])
    annotations["categories"] = lvis_file([1])["categories"]
    with pytest.raises(ValueError, match="'neg_category_ids'; 1 has none"):
        lvis_precision(annotations, [], [1])
    with pytest.raises(ValueError, match="list categories"):
        check_lvis({**annotations, "categories": []}, [1])
