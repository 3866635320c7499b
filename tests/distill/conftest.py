"""Thirty-two real photographs (parts of the examples) as a folder, a tar, with masks; a small run and a cache."""

import json
import tarfile

import numpy as np
import pytest
from PIL import Image

import repvit_sam
from repvit_sam.distill.cache_embeddings import write_embeddings
from repvit_sam.distill.data.sources import read_sources
from repvit_sam.distill.recipe import Recipe
from repvit_sam.distill.teacher import load_teacher
from repvit_sam.distill.trainer import train
from repvit_sam.photo import read_photo

from ..conftest import PHOTOS
from .caches import prepared
from .tars import add_member, rle_of

ENCODER = {"kind": "encoder", "steps": 2, "batch": 4, "window": 64, "windows": 2, "warmup": 0.2, "learning_rate": 1e-3}


@pytest.fixture(scope="session")
def photos_folder(tmp_path_factory):
    """Eight parts of each example photograph, of different sizes and shapes."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for path in sorted(PHOTOS.glob("*.jpg")):
        photo = read_photo(path)
        for part in range(8):
            height, width = (int(rng.integers(side // 2, side)) for side in photo.shape[:2])
            y, x = int(rng.integers(photo.shape[0] - height)), int(rng.integers(photo.shape[1] - width))
            crop = photo[y : y + height, x : x + width]
            Image.fromarray(crop).save(folder / f"{path.stem}_{part}.jpg", quality=92)
    return folder


@pytest.fixture(scope="session")
def recipe_of(photos_folder):
    """Make a small recipe: M0.9, canvas 128, the bundled teacher; stages and other parts as given."""

    def make(*stages, **parts):
        content = {
            "canvas": 128,
            "student": {"variant": "repvit_m0_9"},
            "teacher": {"checkpoint": "vit_t"},
            "data": {"sources": [str(photos_folder)], "workers": 2, "limit": 8},
            "stages": list(stages),
        }
        return Recipe.model_validate({**content, **parts})

    return make


@pytest.fixture(scope="session")
def teacher():
    return load_teacher("vit_t", 128, "cpu")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, recipe_of, photos_folder):
    """Two steps of the encoder stage, to its end; not to be changed."""
    recipe = recipe_of(ENCODER, data={"sources": [str(photos_folder)], "workers": 2, "limit": 10, "hold_out": 2})
    return recipe, train(recipe, tmp_path_factory.mktemp("runs") / "run", "cpu")


@pytest.fixture(scope="session")
def items(photos_folder):
    return read_sources([str(photos_folder)]).items[:7]


@pytest.fixture(scope="session")
def whole_cache(tmp_path_factory, teacher, items):
    """A cache written in one go."""
    cache = prepared(tmp_path_factory.mktemp("cache") / "whole", teacher, items)
    write_embeddings(cache, teacher, items, batch=2)
    return cache


@pytest.fixture
def sa1b_tar(tmp_path, photos_folder):
    """Three photos with their json, as in SA-1B."""
    path = tmp_path / "sa_000020.tar"
    with tarfile.open(path, "w") as tar:
        for number, photo_path in enumerate(sorted(photos_folder.glob("*.jpg"))[:3]):
            height, width = read_photo(photo_path).shape[:2]
            mask = np.zeros((height, width), bool)
            mask[height // 4 : height // 2, width // 4 : width // 2] = True
            add_member(tar, f"./sa_{number}.jpg", photo_path.read_bytes())
            annotation = {"image": {"image_id": number}, "annotations": [{"id": 1, "segmentation": rle_of(mask)}]}
            add_member(tar, f"./sa_{number}.json", json.dumps(annotation).encode())
    return path


@pytest.fixture(scope="session")
def masks_folder(tmp_path_factory, photos_folder):
    """The photos with masks that the bundled model finds on them, as a COCO-format folder."""
    folder = tmp_path_factory.mktemp("masks")
    (folder / "images").symlink_to(photos_folder)
    model = repvit_sam.load("tinyvit_sam", "cpu", canvas=128)
    predictor = repvit_sam.SamPredictor(model)
    images, annotations = [], []
    for number, path in enumerate(sorted(photos_folder.glob("*.jpg"))):
        photo = read_photo(path)
        height, width = photo.shape[:2]
        predictor.set_image(photo)
        points = np.array([[[width * 0.5, height * 0.5]], [[width * 0.3, height * 0.6]], [[width * 0.7, height * 0.3]]])
        masks, _, _ = predictor.predict(points, np.ones((3, 1), int), multimask_output=False, batched=True)
        images.append({"id": number, "file_name": path.name, "height": height, "width": width})
        for mask in masks[:, 0]:
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0,
                "area": int(mask.sum()), "bbox": [0, 0, 1, 1],
                "segmentation": rle_of(mask),
            })  # fmt: skip
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "x"}]}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder
