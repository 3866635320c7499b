"""A folder of real photographs to be labelled, and the labels of it."""

import asyncio
import shutil

import numpy as np
import pytest

from repvit_sam.app.labelling.handlers import LabelHandlers
from repvit_sam.app.labelling.label_store import LabelLayer, LabelStore
from repvit_sam.app.labelling.photo_folder import PhotoFolder
from repvit_sam.example_photos import EXAMPLE_PHOTOS, example_photo
from repvit_sam.photo import read_photo
from repvit_sam.rle import encode_rle

from ..conftest import CHECKPOINT

PHOTO_HW = {name: read_photo(example_photo(name)).shape[:2] for name in EXAMPLE_PHOTOS}


@pytest.fixture
def folder(tmp_path):
    for name in EXAMPLE_PHOTOS:
        shutil.copy(example_photo(name), tmp_path / f"{name}.jpg")
    return tmp_path


@pytest.fixture
def open_labels(folder):
    """Open the folder's labels; once more means after a restart, the first of them being closed."""
    opened = []

    def open_labels(**options):
        for store in opened:
            store.close()
        opened.append(LabelStore(PhotoFolder(folder), folder / "annotations.json", **options))
        return opened[-1]

    yield open_labels
    for store in opened:
        store.close()


@pytest.fixture
def labels(open_labels):
    return open_labels()


@pytest.fixture
def call_on(handlers, open_labels):
    """As ``call``, once the folder's files are as a test wants them."""
    return lambda: _caller(handlers, open_labels())


@pytest.fixture
def call(handlers, labels):
    """Call a server function as a page does: call("open_folder_photo", name=...)."""
    return _caller(handlers, labels)


def _caller(handlers, labels):
    server = LabelHandlers(handlers, labels)

    def call(function, **request):
        method = getattr(server, function, None) or getattr(handlers, function)
        return asyncio.run(method({"checkpoint": CHECKPOINT, **request}))

    return call


def rectangle(photo_hw, x, y, width, height):
    """RLE of a rectangle."""
    mask = np.zeros(photo_hw, dtype=bool)
    mask[y : y + height, x : x + width] = True
    return encode_rle(mask)


def layer(category, rle, annotation=None):
    return LabelLayer(annotation, category, rle)
