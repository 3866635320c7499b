import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repvit_sam.app.labelling.page_ids import own_id, page_id

from .conftest import PHOTO_HW, rectangle

HW = PHOTO_HW["coffee"]
LARGE = 2**53 + 1  # 2**53 + 1 and 2**53 are one number in JavaScript


@given(st.integers(-(2**62), 2**62) | st.text())
@example("#")
@example("#-5")
@example("##9")
@example(LARGE)
def test_every_id_comes_back(own):
    sent = page_id(own)
    assert own_id(sent) == own
    assert type(own_id(sent)) is type(own)
    assert isinstance(sent, str) or float(sent) == sent


@given(st.integers() | st.text())
def test_ids_that_nobody_made_are_ids_of_nothing(sent):
    own_id(sent)


def coco(first, second):
    annotations = [
        {
            "id": key,
            "image_id": 1,
            "category_id": LARGE,
            "iscrowd": 0,
            "segmentation": rectangle(HW, 10 * row, 10, 5, 5),
        }
        for row, key in ((1, first), (3, second))
    ]
    image = {"id": 1, "file_name": "coffee.jpg", "height": HW[0], "width": HW[1]}
    return {"images": [image], "annotations": annotations, "categories": [{"id": LARGE, "name": "cup"}]}


def test_ids_that_javascript_would_round_are_kept_apart(folder, call_on):
    (folder / "annotations.json").write_text(json.dumps(coco(2**53, LARGE)))
    call = call_on()
    opened = call("open_folder_photo", name="coffee.jpg")["labels"]
    layers = [{key: layer[key] for key in ("annotation", "category", "rle")} for layer in opened["layers"]]
    assert [layer["annotation"] for layer in layers] == [f"#{2**53}", f"#{LARGE}"]
    saved = call("save_labels", name="coffee.jpg", revision=opened["revision"], state="done", layers=layers[1:])
    assert saved["annotations"] == [f"#{LARGE}"]
    (kept,) = json.loads((folder / "annotations.json").read_text())["annotations"]
    assert (kept["id"], kept["category_id"]) == (LARGE, LARGE)
    (category,) = call("change_class", id=f"#{LARGE}", name="mug", colour="#ff0000")["classes"]
    assert (category["id"], category["name"]) == (f"#{LARGE}", "mug")


@pytest.mark.parametrize("too_large", [2**62 + 1, -(2**63) + 1])
def test_ids_beyond_64_bits_and_near_them_are_refused(folder, open_labels, too_large):
    (folder / "annotations.json").write_text(json.dumps(coco(1, too_large)))
    with pytest.raises(ValueError, match=f"the id {too_large} is beyond"):
        open_labels()
