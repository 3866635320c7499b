"""Shared by all tests: the bundled model, a photo made by formula (odd, not square), the example photographs."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import repvit_sam

if "PYTEST_XDIST_WORKER" in os.environ:  # processes side by side: one thread each, in what they start as well
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)

TESTS = Path(__file__).parent
# what these share is made once and takes long: exported files, a server and a browser
_IN_ONE_PROCESS = ("app/browser", "repvit_sam/export", "repvit_sam/backends")

PHOTOS = Path(__file__).parents[1] / "repvit_sam" / "example_photos"


def pytest_collection_modifyitems(items):
    """Keep tests that share a costly fixture in one process: a file, or several folders of them."""
    for item in items:
        file = item.path.relative_to(TESTS)
        shared = [folder for folder in _IN_ONE_PROCESS if file.is_relative_to(folder)]
        item.add_marker(pytest.mark.xdist_group(shared[0].split("/")[0] if shared else str(file)))


@pytest.fixture(scope="session")
def model():
    """The bundled checkpoint: real weights, real masks."""
    torch.manual_seed(0)
    return repvit_sam.load("tinyvit_sam", device="cpu")


@pytest.fixture(scope="session")
def coffee():
    """A photograph, 600 x 400: a cup on a saucer."""
    return repvit_sam.read_photo(PHOTOS / "coffee.jpg")


@pytest.fixture(scope="session")
def coffee_encoded(model, coffee):
    predictor = repvit_sam.SamPredictor(model)
    predictor.set_image(coffee)
    return predictor.encoded


@pytest.fixture
def predictor(model, coffee_encoded):
    """A predictor with the coffee photo set."""
    predictor = repvit_sam.SamPredictor(model)
    predictor.encoded = coffee_encoded
    return predictor


@pytest.fixture(scope="session")
def formula_photo():
    """301 wide, 229 high: a bright disc on a slanted gradient."""
    y, x = np.mgrid[0:229, 0:301]
    photo = np.stack([x * 255 // 300, y * 255 // 228, (x + y) % 256], axis=-1).astype(np.uint8)
    photo[np.hypot(x - 150, y - 110) < 50] = (250, 240, 60)
    return photo
