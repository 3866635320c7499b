"""A folder of --out belongs to one question: other photos or another truth are another one, whatever they are called.

Only the settings are looked at; ``run`` itself, which would compute, is replaced here and tested in test_running.py.
"""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from repvit_sam.eval import clicks, edges, instances, proposals, saliency, seginw

from .discs import PHOTO_HW, disc, disc_folder


@pytest.fixture
def folder(tmp_path, formula_photo):
    """What all of the programs take, in one folder."""
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
    """As the program would claim the folder OUT with."""
    asked = []

    def note(job, out, settings, workers):
        asked.append(json.dumps(settings))
        return []

    monkeypatch.setattr(program, "run", note)
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
def test_each_folder_of_the_data_is_part_of_the_question(folder, tmp_path, monkeypatch, program, folders, more):
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
