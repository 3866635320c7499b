"""The server functions of a page that labels a folder, called as the page calls them."""

import base64
import io
import json
import statistics
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from repvit_sam.app.labelling.label_store import Change, LabelStore
from repvit_sam.app.labelling.photo_folder import PhotoFolder
from repvit_sam.photo import read_photo
from repvit_sam.rle import decode_rle

from ..conftest import CHECKPOINT
from .conftest import PHOTO_HW, rectangle

HW = PHOTO_HW["coffee"]


def test_the_folder_lists_photos_classes_and_other_windows(call):
    call("add_class", name="cup")
    first = call("folder", visitor="one")
    assert [name for name, state, count in first["photos"]] == [
        "astronaut.jpg",
        "chelsea.jpg",
        "coffee.jpg",
        "rocket.jpg",
    ]
    assert first["photos"][0][1:] == ["untouched", 0]
    assert [each["name"] for each in first["classes"]] == ["cup"]
    assert first["windows"] == 0
    assert call("folder", visitor="two")["windows"] == 1
    call("leave_folder", visitor="two")
    assert call("folder_changes", visitor="one", session=first["session"])["windows"] == 0


def test_a_photo_is_opened_labelled_and_opened_again_with_its_labels(call):
    cup = call("add_class", name="cup")["id"]
    opened = call("open_folder_photo", name="coffee.jpg")
    assert (opened["width"], opened["height"]) == HW[::-1]
    assert opened["labels"] == {"revision": "", "state": "untouched", "layers": [], "without_mask": 0}
    kept = call("keep", photo=opened["photo"], chain=[{"points": [[300, 200, 1]]}])
    layers = [{"annotation": None, "category": cup, "rle": kept["rle"]}]
    saved = call("save_labels", name="coffee.jpg", revision="", state="done", layers=layers)
    again = call("open_folder_photo", name="coffee.jpg")["labels"]
    assert (again["revision"], again["state"]) == (saved["revision"], "done")
    (shown,) = again["layers"]
    assert (shown["annotation"], shown["category"]) == (saved["annotations"][0], cup)
    assert {key: shown[key] for key in ("rle", "area", "bbox")} == {key: kept[key] for key in ("rle", "area", "bbox")}


def test_a_window_learns_what_another_one_has_changed(call):
    opened = call("folder", visitor="one")
    known = {key: opened[key] for key in ("session", "version")}
    call("save_labels", name="coffee.jpg", state="in work", layers=[])
    changed = call("folder_changes", visitor="one", **known)
    assert changed["photos"] == [["coffee.jpg", "in work", 0]]
    assert "classes" not in changed
    call("add_class", name="cup")
    assert [each["name"] for each in call("folder_changes", **known)["classes"]] == ["cup"]
    assert call("folder_changes", session="of before", version=99)["restarted"]


@pytest.mark.parametrize(
    ("function", "request_", "kind", "message"),
    [
        ("open_folder_photo", {"name": "../conftest.py"}, "bad", "is not a photo of this folder"),
        ("thumbnails", {"names": ["/etc/passwd"]}, "bad", "is not a photo of this folder"),
        ("encode_ahead", {"name": "none.jpg"}, "bad", "is not a photo of this folder"),
        ("save_labels", {"name": "none.jpg", "state": "done", "layers": []}, "bad", "is not a photo of this folder"),
        ("save_labels", {"name": "coffee.jpg", "state": "gone", "layers": []}, "bad", "state"),
        ("save_labels", {"name": "coffee.jpg", "state": "done", "layers": [], "folder": "x"}, "bad", "another folder"),
        ("save_labels", {"name": "coffee.jpg", "state": "done", "layers": [], "revision": "x"}, "conflict", "changed"),
        ("change_class", {"id": 9, "name": "a", "colour": "#000000"}, "bad", "does not exist any more"),
        ("change_class", {"id": 9, "name": "a", "colour": "red"}, "bad", "colour"),
        ("remove_class", {"id": 9}, "bad", "does not exist any more"),
        ("export_labels", {"kind": "docx"}, "bad", "kind"),
    ],
)
def test_a_wrong_request_is_answered_with_a_sentence(call, function, request_, kind, message):
    error = call(function, **request_)["error"]
    assert error["kind"] == kind
    assert message in error["message"]


def test_masks_of_another_size_are_refused(call):
    cup = call("add_class", name="cup")["id"]
    layers = [{"category": cup, "rle": rectangle((10, 10), 1, 1, 3, 3)}]
    error = call("save_labels", name="coffee.jpg", state="done", layers=layers)["error"]
    assert f"RLE of {HW[0]} x {HW[1]} pixels" in error["message"]


def test_a_corrupt_photo_is_said_and_the_others_work(call, folder, labels):
    (folder / "broken.jpg").write_bytes(b"not a photo")
    call("folder")
    assert "broken.jpg is not a picture" in call("open_folder_photo", name="broken.jpg")["error"]["message"]
    pictures = call("thumbnails", names=["broken.jpg", "coffee.jpg"])["thumbnails"]
    assert pictures["broken.jpg"] is None
    assert pictures["coffee.jpg"].startswith("data:image/jpeg")


def test_a_photo_that_was_replaced_on_the_disk_is_encoded_anew(call, folder):
    first = call("open_folder_photo", name="coffee.jpg")
    Image.fromarray(read_photo(folder / "chelsea.jpg")).save(folder / "coffee.jpg")
    again = call("open_folder_photo", name="coffee.jpg")
    assert again["photo"] != first["photo"]
    assert (again["height"], again["width"]) == PHOTO_HW["chelsea"]


@pytest.mark.parametrize("kind", ["yolo", "png", "voc", "coco", "coco-polygons"])
def test_labels_are_exported_as_one_file(call, kind, folder):
    cup = call("add_class", name="cup")["id"]
    layers = [{"category": cup, "rle": rectangle(HW, 100, 50, 80, 60)}]
    call("save_labels", name="coffee.jpg", state="done", layers=layers)
    file = call("export_labels", kind=kind)
    content = base64.b64decode(file["data"])
    if kind.startswith("coco"):
        assert len(json.loads(content)["annotations"]) == 1
    else:
        assert any("coffee" in name for name in zipfile.ZipFile(io.BytesIO(content)).namelist())
    assert file["name"].startswith(folder.name)


def test_a_mask_is_edited_on_the_server(call):
    opened = call("open_folder_photo", name="coffee.jpg")
    rle = rectangle(HW, 100, 50, 80, 60)
    edit = {"kind": "brush", "points": [[300, 200], [340, 220]], "diameter": 30}
    (mask,) = call("edit_mask", photo=opened["photo"], rle=rle, edit=edit)["masks"]
    assert mask["iou"] is None
    assert decode_rle(mask["rle"])[210, 320]
    assert mask["area"] == decode_rle(mask["rle"]).sum() > 80 * 60
    (loop,) = call("outline", photo=opened["photo"], rle=rle)["loops"]
    assert len(loop) == 4


def test_going_on_costs_no_wait_when_the_next_photo_was_encoded_ahead(call, handlers, folder, monkeypatch):
    """Counts encodings instead of seconds; docs/labelling.md has those."""
    encoded = []
    encode = handlers.service.models.get(CHECKPOINT).encode
    monkeypatch.setattr(handlers.service.models.get(CHECKPOINT), "encode", lambda x: encoded.append(1) or encode(x))
    photo = read_photo(folder / "coffee.jpg")
    for number in range(3):
        Image.fromarray(np.roll(photo, 40 * number + 7, axis=1)).save(folder / f"new{number}.jpg")
    call("folder")
    waits = []
    for number in range(3):
        call("encode_ahead", name=f"new{number}.jpg")
        before, started = len(encoded), time.perf_counter()
        assert "error" not in call("open_folder_photo", name=f"new{number}.jpg")
        waits.append(time.perf_counter() - started)
        assert len(encoded) == before
    assert len(encoded) == 3
    assert statistics.median(waits) < 5


def test_a_file_of_five_thousand_photos_opens_fast_and_is_written_whole(tmp_path):
    """The photos are not opened, so empty files do."""
    size = {"height": 400, "width": 600}
    images = [{"id": number, "file_name": f"{number}.jpg", **size} for number in range(1, 5001)]
    rle = rectangle((400, 600), 100, 50, 80, 60)
    annotations = [
        {"id": number, "image_id": 1 + number // 4, "category_id": 1, "segmentation": rle, "area": 4800}
        for number in range(20_000)
    ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cup"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    for number in range(1, 5001):
        (tmp_path / f"{number}.jpg").touch()
    started = time.perf_counter()
    store = LabelStore(PhotoFolder(tmp_path), tmp_path / "annotations.json")
    assert len(store.photos()) == 5000
    assert time.perf_counter() - started < 5
    started = time.perf_counter()
    store.save("4711.jpg", (400, 600), Change(store.part("4711.jpg").revision), "done", [])
    assert time.perf_counter() - started < 2
    store.close()
    assert len(json.loads((tmp_path / "annotations.json").read_text())["annotations"]) == 20_000 - 4
