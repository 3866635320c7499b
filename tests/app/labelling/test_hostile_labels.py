"""COCO files and messages of a page that labels, as strangers write them."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from repvit_sam import PhotoError, RepVitSamError
from repvit_sam.app.labelling.coco_document import LabelFileError, parse_document
from repvit_sam.app.labelling.handlers import LabelHandlers
from repvit_sam.app.labelling.label_formats import export_files
from repvit_sam.app.labelling.label_store import LabelStore
from repvit_sam.app.labelling.photo_folder import PhotoFolder

from ...hostile import STRANGE, answer, nearly
from ..conftest import CHECKPOINT
from ..test_hostile_messages import is_expected
from .conftest import PHOTO_HW, rectangle

HW = PHOTO_HW["coffee"]
SQUARE = [[10, 10, 40, 10, 40, 40, 10, 40]]
COCO = {
    "info": {"year": 2017},
    "images": [
        {"id": 1, "file_name": "coffee.jpg", "height": HW[0], "width": HW[1], "repvit_sam": {"state": "done"}},
        {"id": 2, "file_name": "none.jpg"},
    ],
    "categories": [{"id": 1, "name": "cup", "color": [1, 2, 3]}, {"id": "b", "name": "spoon"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": SQUARE, "bbox": [1, 2, 3, 4], "score": 0.5},
        {"id": 7, "image_id": 1, "category_id": "b", "segmentation": rectangle(HW, 5, 5, 9, 9)},
        {"id": 8, "image_id": 2, "category_id": 1, "segmentation": {"size": list(HW), "counts": [HW[0] * HW[1]]}},
    ],
}


def text_of(content):
    return json.dumps(content).encode()


@given(nearly(COCO).map(text_of) | STRANGE.map(text_of) | st.binary(max_size=60))
@example(b'{"images": [{"id": 1, "file_name": "\\ud800"}]}')
@example(b"[" * 100_000)
@example(b'{"images": [{"id": 1, "file_name": "a.jpg", "x": ' + b"[" * 900 + b"]" * 900 + b"}]}")
def test_any_coco_file_is_read_and_written_again_or_refused_in_one_sentence(data):
    document = answer(parse_document, data, "annotations.json", errors=LabelFileError)
    if document is not None:
        again = b"".join(document.chunks())
        assert b"".join(parse_document(again, "annotations.json").chunks()) == again


@pytest.fixture
def serve(folder, handlers):
    """The folder with these labels: a store, and the handlers of a page; closed at once by the next."""
    opened = []

    def serve(content):
        for store in opened:
            store.close()
        opened.clear()
        path = folder / "annotations.json"
        path.write_bytes(text_of(content))
        opened.append(LabelStore(PhotoFolder(folder), path))
        return opened[-1], LabelHandlers(handlers, opened[-1])

    yield serve
    for store in opened:
        store.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nearly(COCO), st.sampled_from(["coco", "coco-polygons", "yolo", "png", "voc"]))
@example({**COCO, "images": [{**COCO["images"][0], "height": 10**9, "width": 10**9}]}, "png")
@example({**COCO, "images": [{**COCO["images"][0], "height": -5, "width": True}]}, "voc")
@example({**COCO, "images": [{**COCO["images"][0], "height": 0}]}, "png")
@example({**COCO, "images": [{**COCO["images"][0], "height": -1}]}, "png")
@example({**COCO, "images": [{**COCO["images"][0], "height": True}]}, "png")
def test_any_labels_are_shown_and_exported_or_refused_in_one_sentence(serve, content, kind):
    found = answer(serve, content, errors=LabelFileError)
    if found is not None:
        store, page = found
        answer(lambda: list(export_files(store, kind)), errors=(RepVitSamError, PhotoError))
        message = {"checkpoint": CHECKPOINT, "name": "coffee.jpg"}
        assert is_expected(page.open_folder_photo, message)


@pytest.fixture
def right_messages():
    rle = rectangle(HW, 5, 5, 9, 9)
    layers = [{"annotation": 1, "category": 1, "rle": rle}, {"annotation": None, "category": "b", "rle": rle}]
    return [
        ("folder", {"visitor": "a"}),
        ("folder_changes", {"visitor": "a", "session": "x", "version": 0}),
        ("leave_folder", {"visitor": "a"}),
        ("thumbnails", {"names": ["coffee.jpg"]}),
        ("save_labels", {"name": "coffee.jpg", "state": "done", "layers": layers, "unanswered": ["x"], "change": "y"}),
        ("add_class", {"name": "plate"}),
        ("change_class", {"id": 1, "name": "mug", "colour": "#00ff00"}),
        ("remove_class", {"id": "b"}),
        ("export_labels", {"kind": "coco"}),
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_message_gets_an_answer_or_one_sentence(serve, right_messages, data):
    store, page = serve(COCO)
    name, right = data.draw(st.sampled_from(right_messages))
    assert is_expected(getattr(page, name), data.draw(nearly(right) | STRANGE))
    json.loads(Path(store.path).read_bytes())


def test_a_bomb_in_the_folder_has_no_thumbnail(folder, serve):
    from ...repvit_sam.test_photo_bombs import progressive

    (folder / "bomb.jpg").write_bytes(progressive(2000, 1000))
    _, page = serve(COCO)
    answered = asyncio.run(page.thumbnails({"names": ["bomb.jpg", "coffee.jpg"]}))["thumbnails"]
    assert answered["bomb.jpg"] is None
    assert answered["coffee.jpg"]
