"""Records and COCO files in supervision and datumaro.

Neither is installed for development (supervision brings FFmpeg, 100 MB; datumaro pyarrow and an older OpenCV): the
tests run where they are, ``pip install supervision datumaro``.
"""

import json

import numpy as np
import pytest
from PIL import Image

import repvit_sam
from repvit_sam.app.downloads import coco_dataset

CUP, SPOON = [170, 12, 425, 282], [395, 95, 575, 145]
LABELS = ["cup", "spoon", "ring"]


@pytest.fixture(scope="module")
def small():
    return repvit_sam.load("small", device="cpu", canvas=256)


@pytest.fixture(scope="module")
def masks(small, coffee):
    """A cup, a spoon, and a shape with a hole and a second part, which polygons would lose."""
    predictor = repvit_sam.SamPredictor(small)
    predictor.set_image(coffee)
    found, _, _ = predictor.predict(box=np.array([CUP, SPOON]), multimask_output=False)
    ring = np.zeros(coffee.shape[:2], dtype=bool)
    ring[100:300, 100:300] = True
    ring[150:250, 150:250] = False
    ring[10:20, 500:520] = True
    return [*found[:, 0], ring]


@pytest.fixture
def coco_file(masks, coffee, tmp_path):
    """A folder as datumaro expects it; supervision takes the two paths one by one."""
    (tmp_path / "images" / "default").mkdir(parents=True)
    (tmp_path / "annotations").mkdir()
    Image.fromarray(coffee).save(tmp_path / "images" / "default" / "coffee.png")
    path = tmp_path / "annotations" / "instances_default.json"
    path.write_text(json.dumps(coco_dataset("coffee.png", coffee.shape[:2], masks, LABELS)))
    return path


@pytest.mark.parametrize("output_mode", ["binary_mask", "uncompressed_rle", "coco_rle"])
def test_supervision_takes_the_generators_records(small, coffee, output_mode):
    sv = pytest.importorskip("supervision")
    records = repvit_sam.SamAutomaticMaskGenerator(small, points_per_side=4, output_mode=output_mode).generate(coffee)
    detections = sv.Detections.from_sam(sam_result=records)
    arrays = repvit_sam.SamAutomaticMaskGenerator(small, points_per_side=4).generate(coffee)
    arrays.sort(key=lambda record: record["area"], reverse=True)  # as from_sam orders them
    np.testing.assert_array_equal(detections.mask, [record["segmentation"] for record in arrays])
    picture = sv.MaskAnnotator(color_lookup=sv.ColorLookup.INDEX).annotate(scene=coffee.copy(), detections=detections)
    np.testing.assert_array_equal((picture != coffee).any(-1), detections.mask.any(0))


def test_supervision_takes_a_predictors_masks(masks):
    sv = pytest.importorskip("supervision")
    boxes = np.array([CUP, SPOON])
    detections = sv.Detections(xyxy=boxes, mask=np.array(masks[:2]), confidence=np.array([0.9, 0.8]))
    np.testing.assert_array_equal(detections.area, [mask.sum() for mask in masks[:2]])


def test_supervision_reads_the_coco_file_with_equal_masks(coco_file, masks):
    sv = pytest.importorskip("supervision")
    dataset = sv.DetectionDataset.from_coco(
        images_directory_path=str(coco_file.parents[1] / "images" / "default"), annotations_path=str(coco_file)
    )
    ((_, _, detections),) = dataset
    assert dataset.classes == LABELS
    np.testing.assert_array_equal(detections.mask, masks)


def test_datumaro_reads_the_coco_file_with_equal_masks(coco_file, masks):
    datumaro = pytest.importorskip("datumaro")
    dataset = datumaro.Dataset.import_from(str(coco_file.parents[1]), "coco")
    names = dataset.categories()[datumaro.AnnotationType.label]
    (item,) = dataset
    found = {
        names[one.label].name: np.asarray(one.image, dtype=bool)
        for one in item.annotations
        if one.type == datumaro.AnnotationType.mask
    }
    assert sorted(found) == sorted(LABELS)
    for name, mask in zip(LABELS, masks, strict=True):
        np.testing.assert_array_equal(found[name], mask)
