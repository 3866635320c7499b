"""The server without the page: gradio_client, and a request made by hand."""

import json
import urllib.request

import pytest
from pycocotools import mask as coco_mask

from ...conftest import PHOTOS
from .conftest import CUP_BOX, iou

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_photos_are_segmented_through_gradio_client(server, predictor):
    from gradio_client import Client, handle_file

    client = Client(server.url, verbose=False)
    answer = client.predict(
        photo=handle_file(PHOTOS / "coffee.jpg"), points=[[20, 20, 0]], box=list(CUP_BOX), api_name="/segment"
    )
    expected = predictor.predict([[20, 20]], [0], box=CUP_BOX, multimask_output=False)[0][0]
    assert iou(coco_mask.decode(answer["segmentation"]) > 0, expected) >= 0.99
    box = [380, 90, 430, 150]
    refined = client.predict(photo=handle_file(PHOTOS / "coffee.jpg"), box=box, refine=True, api_name="/segment")
    expected = predictor.predict(box=box, multimask_output=False, refine=True)[0][0]
    assert iou(coco_mask.decode(refined["segmentation"]) > 0, expected) >= 0.99
    with pytest.raises(Exception, match="point with label 1, or a box"):
        client.predict(photo=handle_file(PHOTOS / "coffee.jpg"), points=[[20, 20, 0]], api_name="/segment")


def test_a_path_on_the_server_is_not_opened_for_a_client(server):
    stolen = {"path": str(PHOTOS / "coffee.jpg"), "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [stolen, [[300, 200, 1]], None, "", False]}).encode()
    request = urllib.request.Request(f"{server.url}gradio_api/call/segment", body, {"Content-Type": "application/json"})
    event = json.load(urllib.request.urlopen(request, timeout=30))["event_id"]
    answer = urllib.request.urlopen(f"{server.url}gradio_api/call/segment/{event}", timeout=60).read().decode()
    assert "event: error" in answer
    assert "segmentation" not in answer
