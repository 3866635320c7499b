"""What reaches the page as JSON."""

import asyncio

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from repvit_sam.app.responses import json_response, mask_json, record_json
from repvit_sam.app.scheduler import BusyError, CancelledError
from repvit_sam.app.schemas import RequestError
from repvit_sam.app.store import PhotoExpiredError
from repvit_sam.errors import PhotoError
from repvit_sam.masks import mask_box_xyxy, sam_bbox
from repvit_sam.rle import encode_rle


@pytest.fixture
def mask():
    mask = np.zeros((30, 40), dtype=bool)
    mask[5:9, 3:20] = True
    return mask


def test_bbox_is_cocos_for_a_mask_and_for_a_record_of_everything_mode(mask):
    record = {
        "segmentation": encode_rle(mask),
        "area": int(mask.sum()),
        "bbox": sam_bbox(mask_box_xyxy(mask)),  # a pixel short
        "predicted_iou": 0.9,
        "stability_score": 0.95,
        "point_coords": [[10.0, 7.0]],
    }
    of_record, of_mask = record_json(record), mask_json(mask, 0.9)
    assert of_record["bbox"] == of_mask["bbox"] == [3, 5, 17, 4] == coco_mask.toBbox(encode_rle(mask)).tolist()
    assert {name: of_record[name] for name in of_mask} == of_mask


@pytest.mark.parametrize(
    ("error", "response"),
    [
        (PhotoExpiredError("open it again"), {"error": {"kind": "gone", "message": "open it again"}}),
        (BusyError("later"), {"error": {"kind": "busy", "message": "later"}}),
        (RequestError("points: wrong"), {"error": {"kind": "bad", "message": "points: wrong"}}),
        (PhotoError("not a picture"), {"error": {"kind": "bad", "message": "not a picture"}}),
        (CancelledError(), {"cancelled": True}),
        (asyncio.CancelledError(), {"cancelled": True}),
    ],
)
def test_expected_errors_become_json(error, response):
    @json_response
    async def handler(self, data):
        raise error

    assert asyncio.run(handler(None, {})) == response
