"""Annotations of data sets as strangers write them: read, taken apart and scored, or refused in one sentence."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings

from repvit_sam.distill.data.masks import read_masks
from repvit_sam.distill.data.photo_set import FileSlice, PhotoItem
from repvit_sam.distill.data.sources import read_sources
from repvit_sam.eval.datasets.annotations import read_annotations
from repvit_sam.eval.metrics.average_precision import coco_precision
from repvit_sam.rle import decode_rle

from ...hostile import STRANGE, answer, nearly

HW = (30, 40)
COCO = {
    "images": [
        {"id": 1, "file_name": "a.jpg", "height": 30, "width": 40},
        {"id": 2, "coco_url": "http://x/val/b.jpg", "height": 30, "width": 40},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 3, "segmentation": [[1, 1, 20, 1, 20, 20]], "area": 180, "iscrowd": 0},
        {
            "id": 2,
            "image_id": 2,
            "category_id": 3,
            "segmentation": {"size": [30, 40], "counts": [200, 1000]},
            "area": 9,
        },
    ],
    "categories": [{"id": 3, "name": "cup"}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "images" / "val").mkdir(parents=True)
    for name in ("a.jpg", "val/b.jpg"):
        (folder / "images" / name).touch()
    return folder


def masks_of(folder, content):
    path = folder / "annotations.json"
    path.write_text(json.dumps(content))
    annotations = read_annotations(path, folder / "images")
    for image_id in annotations.image_ids:
        for annotation in annotations.by_image.get(image_id, []):
            answer(annotations.mask_of, annotation, errors=ValueError)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nearly(COCO) | STRANGE)
@example({**COCO, "images": [{**COCO["images"][0], "height": 10**9, "width": 10**9}]})
@example({**COCO, "annotations": [None]})
@example({**COCO, "annotations": [{"id": 1, "category_id": 3}]})
def test_any_annotations_are_read_or_refused_in_one_sentence(folder, content):
    answer(masks_of, folder, content, errors=ValueError)


@pytest.mark.parametrize("segmentation", [[[1e9, 0.0, 0.0, 1e9, 5.0, 5.0]], {"size": [30, 40], "counts": "P" * 99}])
def test_a_segmentation_that_ends_pycocotools_does_not_reach_it(segmentation):
    annotation = {**COCO["annotations"][0], "segmentation": segmentation}
    with pytest.raises(ValueError, match="annotation 1: "):
        coco_precision({**COCO, "annotations": [annotation]}, [], [1, 2])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nearly(COCO) | STRANGE)
def test_any_source_of_training_photos_is_read_or_refused_in_one_sentence(folder, content):
    (folder / "annotations.json").write_text(json.dumps(content))
    photos = answer(read_sources, [str(folder)], errors=ValueError)
    for item in photos.items if photos else ():
        answer(read_masks, item, HW, errors=ValueError)


@given(nearly({"annotations": COCO["annotations"]}) | STRANGE)
def test_any_json_beside_a_photo_gives_masks_of_its_size_or_one_sentence(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "sa_1.json"
    path.write_text(json.dumps(content))
    for mask in answer(read_masks, PhotoItem("a", FileSlice(path), FileSlice(path)), HW, errors=ValueError) or ():
        assert mask.shape == HW


def test_the_mask_of_a_right_annotation_is_that_of_its_outline(folder):
    (folder / "annotations.json").write_text(json.dumps(COCO))
    annotations = read_annotations(folder / "annotations.json", folder / "images")
    assert annotations.mask_of(COCO["annotations"][1]).sum() == 1000
    assert decode_rle(annotations.rle_of(COCO["annotations"][0])).any()
