"""Thirty-two real photographs (parts of the four that come along), as a folder, and a recipe for small runs."""

import numpy as np
import pytest
from PIL import Image

import repvit_sam
from repvit_sam.distill.recipe import Recipe

from ..conftest import PHOTOS


@pytest.fixture(scope="session")
def photos_folder(tmp_path_factory):
    """Eight parts of each example photograph, of different sizes and shapes."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    folder.mkdir()
    chance = np.random.default_rng(0)
    for path in sorted(PHOTOS.glob("*.jpg")):
        photo = repvit_sam.read_photo(path)
        for part in range(8):
            height, width = (int(chance.integers(side // 2, side)) for side in photo.shape[:2])
            y, x = int(chance.integers(photo.shape[0] - height)), int(chance.integers(photo.shape[1] - width))
            crop = photo[y : y + height, x : x + width]
            Image.fromarray(crop).save(folder / f"{path.stem}_{part}.jpg", quality=92)
    return folder


@pytest.fixture
def recipe_of(photos_folder):
    """Make a small recipe: M0.9, canvas 128, the bundled teacher; stages and other parts as given."""

    def make(*stages, **parts):
        content = {
            "canvas": 128,
            "student": {"variant": "repvit_m0_9"},
            "teacher": {"checkpoint": "vit_t"},
            "data": {"sources": [str(photos_folder)], "workers": 2},
            "stages": list(stages),
        }
        return Recipe.model_validate({**content, **parts})

    return make
