"""Small photographs, a light model, and runs on them."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from PIL import Image

from repvit_sam.annotate.config import Making, Running
from repvit_sam.annotate.run import annotate
from repvit_sam.annotate.sources.listing import Source
from repvit_sam.jobs.chosen_model import ChosenModel

from ...conftest import PHOTOS

EVERYTHING = {"points_per_side": 2, "pred_iou_thresh": 0.1, "stability_score_thresh": 0.1}
NAMES = ("a/astronaut.jpg", "a/chelsea.png", "b/coffee.jpg", "coffee.png", "rocket.jpg")


class NoScreen:
    """Shows nothing."""

    def listed(self, images):
        pass

    def working(self, look):
        return nullcontext()


def save_photo(path, name="coffee", size=(60, 40)):
    """One of the example photographs, made small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(PHOTOS / f"{name}.jpg").resize(size).save(path)
    return path


def run(source, out, model, workers=1, **options):
    """``annotate`` with few points and shards of two."""
    use = {name: options.pop(name) for name in ("images", "annotations", "use") if name in options}
    running = {name: options.pop(name) for name in ("runner", "as_listed", "retry_failed") if name in options}
    making = Making(model=model, **{"everything": EVERYTHING, "shard_size": 2, **options})
    return annotate(Source(str(source), **use), out, making, Running(workers=workers, **running), NoScreen())


def files_of(folder):
    """The results by path: all that must not differ between runs."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and "manifest" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="session")
def light_model(light_checkpoint):
    return ChosenModel(str(light_checkpoint), "torch", "cpu")


@pytest.fixture
def photos(tmp_path):
    """Five photographs in three folders; one is named like another but for its ending."""
    folder = tmp_path / "photos"
    for name in NAMES:
        save_photo(folder / name, Path(name).stem)
    save_photo(folder / "rocket.png", "rocket")
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory, light_model):
    """A folder with the results of three photographs, which no test changes, and the photographs."""
    folder = tmp_path_factory.mktemp("finished")
    for name in ("astronaut", "coffee", "rocket"):
        save_photo(folder / "photos" / f"{name}.jpg", name, (90, 60))
    run(folder / "photos", folder / "out", light_model, everything={**EVERYTHING, "points_per_side": 4})
    return folder / "out"
