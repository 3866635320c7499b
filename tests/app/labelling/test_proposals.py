"""Proposals are learnt from a real photograph that was labelled; the next one is the same, mirrored."""

import numpy as np
from PIL import Image

from repvit_sam import EncodedPhoto
from repvit_sam.app.labelling.proposals import class_weights, photo_sums, propose
from repvit_sam.canvas import fit_photo
from repvit_sam.photo import read_photo
from repvit_sam.rle import decode_rle

from .conftest import PHOTO_HW

HW = PHOTO_HW["coffee"]


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def test_objects_of_the_labelled_classes_are_found_on_the_next_photo(call, folder):
    cup = call("add_class", name="cup")["id"]
    sharp = {"checkpoint": "small"}  # on its large canvas
    opened = call("open_folder_photo", name="coffee.jpg", **sharp)
    kept = call("keep", photo=opened["photo"], chain=[{"box": [165, 5, 430, 290]}], **sharp)
    call("save_labels", name="coffee.jpg", state="done", layers=[{"category": cup, "rle": kept["rle"]}])
    Image.fromarray(read_photo(folder / "coffee.jpg")[:, ::-1]).save(folder / "mirrored.jpg", quality=95)
    call("folder")
    answer = call("propose", name="mirrored.jpg", **sharp)
    assert answer["photos"] == 1
    best = answer["masks"][0]
    assert best["category"] == cup
    assert iou(decode_rle(best["rle"]), decode_rle(kept["rle"])[:, ::-1]) > 0.7
    assert 0 < best["score"] <= 1
    x, y = best["point"]
    assert 0 <= x < HW[1]
    assert 0 <= y < HW[0]


def test_without_a_photo_that_is_done_there_is_nothing_to_learn_from(call):
    call("save_labels", name="coffee.jpg", state="done", layers=[])
    assert "no other photo with objects is done yet" in call("propose", name="chelsea.jpg")["error"]["message"]


class Untouched:
    """A backend that is not asked."""

    def decode(self, *_):
        raise AssertionError("there is nothing to decode")


def encoded_from(cells):
    """An embedding whose cells are given, (64, 64, 256), of a square photo."""
    return EncodedPhoto(cells.transpose(2, 0, 1)[None].astype(np.float32), fit_photo((1024, 1024)))


def test_the_regression_tells_cells_of_a_class_from_others_however_few_they_are():
    rng = np.random.default_rng(0)
    prototype, other = rng.normal(size=256), rng.normal(size=256)
    cells = other + 0.5 * rng.normal(size=(64, 64, 256))
    cells[10:14, 20:24] = prototype + 0.5 * rng.normal(size=(4, 4, 256))
    mask = np.zeros((1024, 1024), dtype=bool)
    mask[160:224, 320:384] = True
    weights = class_weights([photo_sums(encoded_from(cells), [("a", mask)])])["a"]
    normal = cells / np.linalg.norm(cells, axis=-1, keepdims=True)
    heat = normal @ weights[:256] + weights[256]
    assert heat[10:14, 20:24].min() > 0.5
    heat[10:14, 20:24] = 0
    assert heat.max() < 0.5


def test_photos_add_up():
    rng = np.random.default_rng(1)
    photos = [encoded_from(rng.normal(size=(64, 64, 256))) for _ in range(2)]
    half = np.zeros((1024, 1024), dtype=bool)
    half[:512] = True
    sums = [photo_sums(photo, [("a", half)]) for photo in photos]
    both = [photo_sums(photos[0], [("a", half)]), photo_sums(photos[1], [("a", half), ("b", ~half)])]
    assert set(class_weights(both)) == {"a", "b"}
    np.testing.assert_allclose(class_weights(both)["a"], class_weights(sums)["a"], rtol=1e-4, atol=1e-4)


def test_a_class_that_covers_everything_or_nothing_teaches_nothing():
    encoded = encoded_from(np.random.default_rng(2).normal(size=(64, 64, 256)))
    everything = np.ones((1024, 1024), dtype=bool)
    weights = class_weights([photo_sums(encoded, [("all", everything), ("none", ~everything)])])
    assert weights == {}
    assert propose(Untouched(), encoded, weights) == []
