"""From boxes to AP, with a predictor whose masks are perfect."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from repvit_sam.eval.datasets.annotations import read_annotations
from repvit_sam.eval.metrics.instances import instance_metrics, match_annotations
from repvit_sam.eval.prompting.box_detections import detect, read_box_prompts
from repvit_sam.eval.prompting.box_protocols import find_protocol
from repvit_sam.photo import read_photo

from ..discs import disc

HW = (120, 160)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten photos of two discs each, of two categories; LVIS's entries beside COCO's."""
    folder = tmp_path_factory.mktemp("discs")
    (folder / "images").mkdir()
    images, annotations = [], []
    for image_id in range(1, 11):
        Image.fromarray(np.full((*HW, 3), image_id * 20, np.uint8)).save(folder / "images" / f"{image_id}.png")
        images.append({
            "id": image_id, "file_name": f"{image_id}.png", "height": HW[0], "width": HW[1],
            "neg_category_ids": [], "not_exhaustive_category_ids": [],
        })  # fmt: skip
        for category_id, mask in ((1, disc(*HW, 40 + image_id, 40, 25)), (2, disc(*HW, 110, 70, 10 + image_id))):
            rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            annotations.append({
                "id": len(annotations) + 1, "image_id": image_id, "category_id": category_id, "iscrowd": 0,
                "area": int(mask.sum()), "bbox": coco_mask.toBbox(rle).tolist(),
                "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
            })  # fmt: skip
    categories = [{"id": 1, "name": "sun", "frequency": "f"}, {"id": 2, "name": "moon", "frequency": "r"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


class TruthTeller:
    """A predictor that answers a box with the annotated mask that has this box: all boxes differ."""

    def __init__(self, data):
        self.masks = {
            (x, y, x + w, y + h): data.mask_of(annotation)
            for annotation in data.content["annotations"]
            for x, y, w, h in [annotation["bbox"]]
        }

    def set_image(self, photo):
        assert photo.shape[:2] == HW

    def predict(self, box, multimask_output, batched, refine):
        found = np.array([self.masks[tuple(row)] for row in box])
        return found[:, None], np.ones((len(box), 1)), None


def records_of(folder, boxes="ground-truth"):
    data = read_annotations(folder / "annotations.json", folder / "images")
    predictor, protocol = TruthTeller(data), find_protocol("repvit-sam")
    return data, {
        image_id: {"detections": detect(predictor, read_photo(data.paths[image_id]), prompts, protocol)}
        for image_id, prompts in read_box_prompts(boxes, data, 100).items()
    }


@pytest.mark.parametrize("dataset", ["coco", "lvis"])
def test_a_perfect_predictor_has_an_ap_of_one(folder, dataset):
    data, records = records_of(folder)
    metrics = instance_metrics(records, data, dataset, boxes_are_ground_truth=True)
    assert metrics["AP"] == metrics["AP50"] == metrics["AP75"] == 1
    assert metrics["mIoU"] == 1
    assert metrics["APs"] == metrics["APm"] == 1
    assert metrics["APl"] is metrics["mIoU large"] is None  # no disc is so large
    if dataset == "lvis":
        assert metrics["APr"] == metrics["APf"] == 1
        assert metrics["APc"] is None


def test_missed_and_false_boxes_cost_what_they_cost_on_paper(folder, tmp_path):
    """Category 1 has all ten boxes and, of score between the fifth and the sixth, five false ones: precision is 1 up to
    a recall of 0.5, then 6/11, 7/12, ... 10/15, whose best from the right is 10/15 = 2/3: (51 + 50 * 2/3) / 101.
    Category 2 misses its last five: recall stops at 0.5, 51 / 101."""
    data = read_annotations(folder / "annotations.json", folder / "images")
    rows = []
    for annotation in data.content["annotations"]:
        row = {key: annotation[key] for key in ("image_id", "category_id", "bbox")}
        if annotation["category_id"] == 1:
            rows.append({**row, "score": 0.9 if annotation["image_id"] <= 5 else 0.1})
        elif annotation["image_id"] <= 5:
            rows += [{**row, "score": 0.9}, {**row, "category_id": 1, "score": 0.5}]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    data, records = records_of(folder, str(tmp_path / "boxes.json"))
    expected = ((51 + 50 * 2 / 3) / 101 + 51 / 101) / 2
    for dataset in ("coco", "lvis"):
        metrics = instance_metrics(records, data, dataset, boxes_are_ground_truth=False)
        assert metrics["AP"] == pytest.approx(expected, abs=1e-12)
        assert "mIoU" not in metrics
    best = {
        (one.annotation["category_id"], one.annotation["image_id"]): one.iou for one in match_annotations(records, data)
    }
    assert best[1, 9] == 1
    assert best[2, 5] == 1
    assert best[2, 6] == 0  # missed


def test_a_photo_without_boxes_counts_as_missed(folder, tmp_path):
    first = json.loads((folder / "annotations.json").read_text())["annotations"][0]
    rows = [{"image_id": 1, "category_id": 1, "bbox": first["bbox"], "score": 1}]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    data, records = records_of(folder, str(tmp_path / "boxes.json"))
    assert list(records) == [1]
    # recall 1/10 in one category of two: 11 of 101 recalls
    assert instance_metrics(records, data, "coco", boxes_are_ground_truth=False)["AP"] == pytest.approx(11 / 101 / 2)
