"""The server functions, called as a page calls them."""

import asyncio
import base64
import io
import json
import re
import threading

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

import repvit_sam
from repvit_sam import Detections
from repvit_sam.app.handlers import Handlers
from repvit_sam.app.scheduler import Priority
from repvit_sam.app.service import MaskService
from repvit_sam.app.store import ModelStore, PhotoStore
from repvit_sam.rle import decode_rle

from ..conftest import PHOTOS
from .conftest import CHECKPOINT

CUP = {"points": [[300, 200, 1]]}


def picture(url):
    return np.array(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGBA"))


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.fixture(scope="module")
def cup_mask(small_model, coffee):
    """What the library gives for a click on the cup."""
    predictor = repvit_sam.SamPredictor(small_model)
    predictor.set_image(coffee)
    masks, ious, _ = predictor.predict(point_coords=[[300, 200]], point_labels=[1])
    return masks[ious.argmax()]


def test_the_page_finds_the_server_functions_by_their_names(handlers):
    names = (
        "about open open_example resume progress cancel predict hover keep everything download python_snippet "
        "find_text edit_mask outline"
    )
    assert [function.__name__ for function in handlers.functions()] == names.split()


class Cups:
    """In place of a detector with published weights; those cannot be had here (tests/repvit_sam/tiny_detectors.py)."""

    def detect(self, photo, text, box_threshold=None, text_threshold=None):
        boxes = np.array([[170.0, 12, 425, 282]] if "cup" in text else []).reshape(-1, 4)
        return Detections(boxes, ("cup",) * len(boxes), np.full(len(boxes), 0.9), np.ones(len(boxes), dtype=np.int64))


def test_words_become_masks_where_the_server_has_a_detector(handlers, coffee_token, call):
    assert not call("about")["text"]
    request = {"checkpoint": CHECKPOINT, "photo": coffee_token, "text": "cup. spoon."}
    assert "start it with --detector" in call("find_text", **request)["error"]["message"]
    with_detector = Handlers(MaskService(handlers.service.models, handlers.service.photos, Cups))
    assert asyncio.run(with_detector.about({}))["text"]
    (mask,) = asyncio.run(with_detector.find_text(request))["masks"]
    assert (mask["name"], mask["score"]) == ("cup", 0.9)
    assert decode_rle(mask["rle"])[200, 300]
    assert asyncio.run(with_detector.find_text({**request, "text": "moon"}))["masks"] == []


def test_about_names_what_there_is(call):
    about = call("about")
    assert about["checkpoint"] == CHECKPOINT
    assert (about["device"], about["engine"]) == ("cpu", "PyTorch fp32")
    texts = {entry["name"]: entry["about"] for entry in about["checkpoints"]}
    assert texts.keys() == {CHECKPOINT, "default", "repvit_sam_m2_3", "tinyvit_sam"}
    assert texts[CHECKPOINT] == ""
    assert "the first to take" in texts["default"]
    assert [example["name"] for example in about["examples"]] == ["chelsea", "coffee", "astronaut", "rocket"]
    assert about["encode_ms"] > 0
    assert about["decode_ms"] > 0


def test_an_uploaded_photo_comes_back_upright_with_its_size(upload):
    answer = upload("my photo.jpg", (PHOTOS / "coffee.jpg").read_bytes())
    assert (answer["width"], answer["height"], answer["name"]) == (600, 400, "my photo.jpg")
    assert picture(answer["view"]).shape == (400, 600, 4)


HANDLE = {"box": [380, 90, 430, 150]}


def test_a_refined_candidate_is_shown_kept_and_rated_anew(call, coffee_token, small_model, coffee):
    first = call("predict", photo=coffee_token, chain=[HANDLE])
    chain = [{**HANDLE, "pick": 0, "refine": True}]
    answer = call("predict", photo=coffee_token, chain=chain)
    assert (first["refined"], answer["refined"], answer["best"]) == (False, True, 0)
    assert answer["candidates"][0]["mask"] != first["candidates"][0]["mask"]
    assert answer["candidates"][1:] == first["candidates"][1:]
    predictor = repvit_sam.SamPredictor(small_model)
    predictor.set_image(coffee)
    (expected,), (rating,), _ = predictor.predict(box=HANDLE["box"], multimask_output=False, refine=True)
    assert iou(picture(answer["candidates"][0]["mask"])[..., 3] > 0, expected) >= 0.99
    kept = call("keep", photo=coffee_token, chain=chain)
    assert iou(coco_mask.decode(kept["rle"]) > 0, expected) >= 0.99
    assert kept["iou"] == pytest.approx(rating, abs=1e-3)


def test_the_page_is_told_where_there_is_nothing_to_refine(call, coffee_token):
    answer = call("predict", photo=coffee_token, chain=[{"box": [0, 0, 600, 400], "pick": 0, "refine": True}])
    assert answer["refined"] is False
    assert len(answer["candidates"]) == 3


def test_embeddings_are_kept_without_the_photos_pixels(handlers, call, coffee_token):
    call("predict", photo=coffee_token, chain=[{**HANDLE, "pick": 2, "refine": True}])
    assert all(encoded.photo is None for encoded in handlers.service._results.embeddings.values())


def test_a_click_gives_three_candidates_and_the_best_is_the_predictors(call, coffee_token, cup_mask):
    answer = call("predict", photo=coffee_token, chain=[CUP])
    assert len(answer["candidates"]) == 3
    best = answer["candidates"][answer["best"]]
    shown = picture(best["mask"])[..., 3] > 0
    assert iou(shown, cup_mask) >= 0.99
    assert best["area"] == pytest.approx(cup_mask.sum(), rel=0.01)


def test_background_alone_has_no_mask(call, coffee_token):
    assert call("predict", photo=coffee_token, chain=[{"points": [[10, 10, 0]]}])["candidates"] == []
    assert (
        "object point or a box" in call("keep", photo=coffee_token, chain=[{"points": [[1, 1, 0]]}])["error"]["message"]
    )


def test_hovering_shows_what_a_click_would_give(call, coffee_token):
    clicked = call("predict", photo=coffee_token, chain=[CUP])
    hovered = call("hover", photo=coffee_token, x=300, y=200)
    assert hovered["mask"] == clicked["candidates"][clicked["best"]]["mask"]


def test_a_kept_mask_is_the_predictors_pixel_by_pixel(call, coffee_token, cup_mask):
    kept = call("keep", photo=coffee_token, chain=[CUP])
    mask = coco_mask.decode(kept["rle"]).astype(bool)
    assert iou(mask, cup_mask) >= 0.999
    assert kept["area"] == mask.sum()


def test_everything_finds_masks_tells_how_far_it_is_and_lets_a_click_through(handlers, call, coffee_token):
    shares = []
    ticket = "everything-1"

    async def watch():
        message = {"photo": coffee_token, "checkpoint": CHECKPOINT, "ticket": ticket, "points_per_side": 24}
        task = asyncio.create_task(handlers.everything(message))
        while not task.done():
            await asyncio.sleep(0.02)
            progress = await handlers.progress({"ticket": ticket})
            shares.append(progress["share"])
            if len(shares) == 2:
                await handlers.predict(
                    {"photo": coffee_token, "checkpoint": CHECKPOINT, "chain": [{"points": [[123, 45, 1]]}]}
                )
                assert not task.done()
        return await task

    found = asyncio.run(watch())
    assert len(found["masks"]) > 3
    first = found["masks"][0]
    assert coco_mask.decode(first["rle"]).sum() == first["area"]
    assert all(mask["bbox"] == coco_mask.toBbox(mask["rle"]).tolist() for mask in found["masks"])
    assert any(share is not None and 0 < share <= 1 for share in shares)


def test_everything_can_be_cancelled(handlers, coffee_token):
    async def start_and_cancel():
        message = {"photo": coffee_token, "checkpoint": CHECKPOINT, "ticket": "everything-2", "points_per_side": 32}
        task = asyncio.create_task(handlers.everything(message))
        while (await handlers.progress({"ticket": "everything-2"}))["state"] != "working":
            await asyncio.sleep(0.05)
        await handlers.cancel({"ticket": "everything-2"})
        return await task

    assert asyncio.run(start_and_cancel())["cancelled"]


def test_an_unknown_photo_is_gone(call):
    for function, message in (("predict", {"chain": [CUP]}), ("hover", {"x": 1, "y": 1}), ("resume", {})):
        assert call(function, photo="nobody-knows", **message)["error"]["kind"] == "gone"


def test_an_evicted_embedding_is_computed_again_without_a_word(handlers, call, upload):
    token = upload("coffee.jpg", (PHOTOS / "coffee.jpg").read_bytes())["photo"]
    before = call("predict", photo=token, chain=[CUP])["candidates"]
    handlers.service._results.embeddings.clear()
    handlers.service._results.candidates.clear()
    assert call("predict", photo=token, chain=[CUP])["candidates"] == before


def test_the_same_photo_goes_on_with_another_checkpoint(call, upload):
    token = upload("coffee.jpg", (PHOTOS / "coffee.jpg").read_bytes())["photo"]
    assert call("resume", photo=token, checkpoint="tinyvit_sam")["photo"] == token
    first = call("predict", photo=token, chain=[CUP])
    other = call("predict", photo=token, checkpoint="tinyvit_sam", chain=[CUP])
    assert first["candidates"] != other["candidates"]


def test_no_path_of_a_visitor_is_opened(call, tmp_path):
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"x")
    for message in (
        {"checkpoint": str(weights), "name": "coffee"},
        {"name": "../../etc/passwd"},
        {"name": str(weights)},
    ):
        assert call("open_example", **message)["error"]["kind"] == "bad"


def test_folders_of_the_server_stay_on_the_server(tmp_path):
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes((PHOTOS.parents[1] / "weights" / "repvit_sam_m0_9.safetensors").read_bytes())
    service = MaskService(ModelStore(str(copy), "cpu"), PhotoStore([]))
    about = asyncio.run(Handlers(service).about({}))
    assert about["checkpoint"] == "mine.safetensors"
    assert str(tmp_path) not in json.dumps(about)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.jpg", b"no picture", "^text.jpg is not a picture"),
        ("empty.png", b"", "empty"),
        ("cut.jpg", (PHOTOS / "coffee.jpg").read_bytes()[:4000], "cut.jpg"),
        ("../../x\\y.svg", b"<svg/>", "^y.svg is not a picture"),
    ],
)
def test_what_is_no_photo_is_refused_in_a_sentence(upload, name, content, words):
    error = upload(name, content)["error"]
    assert error["kind"] == "bad"
    assert re.search(words, error["message"]), error["message"]


def test_visitors_of_one_example_do_not_replace_each_others_previews(handlers, coffee_token):
    async def hover_both():
        message = {"photo": coffee_token, "checkpoint": CHECKPOINT, "x": 300, "y": 200}
        return await asyncio.gather(*(handlers.hover({**message, "visitor": name}) for name in ("anna", "ben")))

    assert all("mask" in answer for answer in asyncio.run(hover_both()))


def test_a_photo_of_too_many_pixels_is_refused(upload, monkeypatch):
    monkeypatch.setattr("repvit_sam.app.store.MAX_PIXELS", 1000)
    assert "600x400" in upload("coffee.jpg", (PHOTOS / "coffee.jpg").read_bytes())["error"]["message"]


@pytest.mark.parametrize(
    ("function", "message", "words"),
    [
        ("predict", {"chain": []}, "chain"),
        ("predict", {"chain": [{"points": [[1, 2, 7]]}]}, "points"),
        ("predict", {"chain": [{"points": [[float("nan"), 2, 1]]}]}, "finite"),
        ("predict", {"chain": [{"box": [0, 0, float("inf"), 5]}]}, "finite"),
        ("predict", {"chain": [CUP] * 33}, "chain"),
        ("hover", {"x": "left", "y": 1}, "x"),
        ("everything", {"points_per_side": 1000}, "points_per_side"),
    ],
)
def test_messages_that_no_page_sends_are_refused(call, coffee_token, function, message, words):
    error = call(function, photo=coffee_token, **message)["error"]
    assert error["kind"] == "bad"
    assert words in error["message"]


def test_a_defect_on_the_server_is_a_sentence_and_a_line_in_the_log(handlers, call, coffee_token, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(handlers.service, "decode", broken)
    assert "something went wrong" in call("hover", photo=coffee_token, x=1, y=1)["error"]["message"]
    assert "ZeroDivisionError" in caplog.text


def test_an_outdated_preview_is_dropped(handlers, coffee_token):
    async def hover_twice():
        release = threading.Event()
        gate = handlers.scheduler.submit("gate", Priority.CLICK, lambda job: release.wait(5))
        old = asyncio.create_task(handlers.hover({"photo": coffee_token, "checkpoint": CHECKPOINT, "x": 5, "y": 5}))
        await asyncio.sleep(0)
        new = asyncio.create_task(handlers.hover({"photo": coffee_token, "checkpoint": CHECKPOINT, "x": 300, "y": 200}))
        await asyncio.sleep(0.05)
        release.set()
        await asyncio.wrap_future(gate.future)
        return await old, await new

    old, new = asyncio.run(hover_twice())
    assert old["cancelled"]
    assert "mask" in new
