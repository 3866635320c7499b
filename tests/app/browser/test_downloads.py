"""Downloads, compared with the Python API's masks."""

import json
import re

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

import repvit_sam

from ...conftest import PHOTOS
from .conftest import CUP_BOX, iou, read_png

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_every_download_is_the_python_apis_mask(on_coffee, predictor, light_checkpoint, tmp_path, monkeypatch):
    on_coffee.answered(lambda: on_coffee.drag(*CUP_BOX))
    box = on_coffee.document["chain"][0]["box"]
    expected = predictor.predict(box=box, multimask_output=False)[0][0]
    photo = repvit_sam.read_photo(PHOTOS / "coffee.jpg")

    name, data = on_coffee.download("download-mask")
    assert name == "coffee_mask.png"
    assert iou(read_png(data) > 0, expected) >= 0.99

    cropped = read_png(on_coffee.download("download-cutout")[1])
    assert (cropped[..., 3] > 0).sum() == pytest.approx(expected.sum(), rel=0.01)
    assert cropped.shape[0] < 400

    on_coffee.at("full-size").check()
    whole = read_png(on_coffee.download("download-cutout")[1])
    assert whole.shape == (400, 600, 4)
    assert iou(whole[..., 3] > 0, expected) >= 0.99
    np.testing.assert_array_equal(whole[whole[..., 3] > 0][:, :3], photo[whole[..., 3] > 0])

    overlay = read_png(on_coffee.download("download-overlay")[1]).astype(int)
    changed = np.abs(overlay - photo).sum(-1) > 12
    assert iou(cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5))) > 0, expected) >= 0.95

    content = json.loads(on_coffee.download("download-coco")[1])
    (annotation,) = content["annotations"]
    assert iou(coco_mask.decode(annotation["segmentation"]) > 0, expected) >= 0.99

    text = on_coffee.download("download-svg")[1].decode()
    corners = [
        np.array([[float(n) for n in xy.split(",")] for xy in path.split("L")])
        for path in re.findall(r"M([^Z]+)Z", text)
    ]
    canvas = np.zeros((400 * 8, 600 * 8), np.uint8)
    cv2.fillPoly(canvas, [(c * 8).round().astype(np.int32) for c in corners], 1)
    drawn = cv2.resize(canvas.astype(np.float32), (600, 400), interpolation=cv2.INTER_AREA) > 0.5
    assert iou(drawn, expected) >= 0.99

    on_coffee.at("code").click()
    on_coffee.page.wait_for_function(
        "document.querySelector('[data-part=code-text]').value.includes('predictor.predict')"
    )
    program = on_coffee.at("code-text").input_value()
    on_coffee.screenshot("07_code")
    for path in (PHOTOS / "coffee.jpg", light_checkpoint):
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    made = {}
    exec(program, made)
    (variable,) = re.findall(r"^(\w+) = masks\[pick\]", program, re.M)
    assert iou(made[variable], expected) >= 0.99
