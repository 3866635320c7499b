"""A folder of --out holds one run: other photos or annotations are other settings, even under the same names.

Only the settings are checked here; ``run_job``, which would evaluate, is replaced (runner/test_run.py tests it).
"""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from repvit_sam.eval import clicks, edges, instances, proposals, saliency, seginw
from repvit_sam.eval.runner import evaluate

from .discs import PHOTO_HW, disc, disc_folder


@pytest.fixture
def folder(tmp_path, formula_photo):
    """The data of all programs, in one folder."""
    folder = disc_folder(tmp_path / "one", formula_photo)
    for name in ("masks", "truth", "sets/Discs/valid"):
        (folder / name).mkdir(parents=True)
    mask = disc(*PHOTO_HW, 150, 110, 50).astype(np.uint8)
    Image.fromarray(mask * 255).save(folder / "masks" / "photo.png")
    people = np.empty((1, 1), dtype=object)
    people[0, 0] = {"Boundaries": mask, "Segmentation": mask}
    savemat(folder / "truth" / "photo.mat", {"groundTruth": people})
    valid = folder / "sets" / "Discs" / "valid"
    shutil.copy(folder / "images" / "photo.png", valid)
    shutil.copy(folder / "annotations.json", valid / "_annotations_min1cat.coco.json")
    Image.open(folder / "images" / "photo.png").save(folder / "images" / "photo.jpg")  # BSDS has JPEG alone
    return folder


def settings_of(program, monkeypatch, words, out):
    """The settings with which the program would write into the folder OUT."""
    asked = []

    def run_job(job, out, settings, workers, unit):
        asked.append(json.dumps(settings))
        return {}

    monkeypatch.setattr(evaluate, "run_job", run_job)
    app = program.typer.Typer()
    app.command()(program.main)
    done = CliRunner().invoke(app, [str(word) for word in [*words, "--checkpoint", "small", "--out", out]])
    assert done.exit_code == 0, done.output
    return asked[0]


@pytest.mark.parametrize(
    ("program", "folders", "more"),
    [
        (instances, {"--images": "images", "--annotations": "annotations.json"}, ["--boxes", "ground-truth"]),
        (proposals, {"--images": "images", "--annotations": "annotations.json"}, []),
        (clicks, {"--images": "images", "--annotations": "annotations.json"}, []),
        (saliency, {"--images": "photos", "--masks": "masks"}, ["--protocol", "box"]),
        (edges, {"--images": "images", "--truth": "truth"}, []),
        (seginw, {"--data": "sets"}, ["--boxes", "ground-truth"]),
    ],
    ids=lambda value: value.__name__.split(".")[-1] if hasattr(value, "__name__") else "",
)
def test_each_folder_of_the_data_is_part_of_the_settings(folder, tmp_path, monkeypatch, program, folders, more):
    (folder / "photos").mkdir()
    shutil.copy(folder / "images" / "photo.png", folder / "photos")
    other = shutil.copytree(folder, tmp_path / "other")

    def ask(places):
        words = [word for option, place in places.items() for word in (option, place)]
        return settings_of(program, monkeypatch, [*words, *more], tmp_path / "out")

    monkeypatch.chdir(folder)
    first = ask(folders)
    assert ask({option: folder / place for option, place in folders.items()}) == first  # by its full name
    for option, place in folders.items():
        if option != "--annotations":  # known by its content
            assert ask({**folders, option: other / place}) != first, option
    monkeypatch.chdir(other)  # the same words, other files
    assert ask(folders) != first
