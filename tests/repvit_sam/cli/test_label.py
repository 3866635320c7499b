"""``repvit-sam label`` up to the page; the page itself is tested in a browser, tests/app/browser/test_labelling.py."""

import json
import shutil
from typing import get_args

import pytest

from repvit_sam.app.labelling.label_formats import Kind
from repvit_sam.app.labelling.label_store import LabelStore
from repvit_sam.app.labelling.photo_folder import PhotoFolder
from repvit_sam.cli import label

from .conftest import COFFEE, run


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(COFFEE, folder)
    return folder


@pytest.fixture
def served(monkeypatch):
    """What the page would be started with; a server would not end."""
    calls = []
    monkeypatch.setattr("repvit_sam.app.main.serve", lambda *arguments: calls.append(arguments))
    return calls


def classes_of(folder):
    return [category["name"] for category in json.loads((folder / "annotations.json").read_text())["categories"]]


def test_the_page_is_served_for_the_folder_with_the_classes_that_are_given(folder, served):
    result = run("label", folder, "--classes", "cat, dog", "--checkpoint", "small", "--port", 7999)
    assert result.exit_code == 0, result.output
    ((checkpoint, _, host, port, *_, labels, _),) = served
    assert (checkpoint, host, port) == ("small", "127.0.0.1", 7999)
    assert [photo.name for photo in labels.photos()] == ["coffee.jpg"]
    assert classes_of(folder) == ["cat", "dog"]


def test_classes_come_from_a_text_file_and_join_those_of_the_annotations(folder, served, tmp_path):
    (tmp_path / "classes.txt").write_text("dog\n\n  bird\n")
    run("label", folder, "--classes", "cat,dog")
    run("label", folder, "--classes", tmp_path / "classes.txt")
    assert classes_of(folder) == ["cat", "dog", "bird"]


def test_without_classes_there_is_one(folder, served):
    run("label", folder)
    assert classes_of(folder) == ["object"]


def test_images_and_annotations_side_by_side_are_read_as_training_reads_them(tmp_path, served):
    (tmp_path / "set" / "images").mkdir(parents=True)
    shutil.copy(COFFEE, tmp_path / "set" / "images")
    run("label", tmp_path / "set")
    labels = served[0][-2]
    assert labels.folder.names == ("coffee.jpg",)
    assert labels.path == tmp_path / "set" / "annotations.json"


def test_the_command_knows_every_format():
    """It names them itself: importing the page would slow --help down."""
    assert get_args(Kind) == label._KINDS


def test_labels_are_exported_without_a_page(folder, served, tmp_path):
    result = run("label", folder, "--export", "yolo", "--out", tmp_path / "yolo")
    assert result.stdout == f"1 files in {tmp_path / 'yolo'}\n"
    assert '0: "object"' in (tmp_path / "yolo" / "data.yaml").read_text()
    assert not served


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--export", "docx", "--out", "x"], "takes coco, coco-polygons, yolo, png, voc, got 'docx'"),
        (["--export", "yolo"], "--export and --out go together"),
        (["--classes", "none.txt"], "none.txt does not exist; give names between commas"),
        (["--classes", " , "], "has no names in it"),
    ],
)
def test_wrong_options_are_said_in_a_sentence(folder, served, options, message):
    result = run("label", folder, *options)
    assert result.exit_code
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert not served


def test_a_folder_without_photos_and_one_that_is_in_use_are_refused(tmp_path, folder, served):
    result = run("label", tmp_path / "none")
    assert "none is not a folder; give one with photos" in result.stderr
    (tmp_path / "empty").mkdir()
    assert "holds no photos" in run("label", tmp_path / "empty").stderr
    in_use = LabelStore(PhotoFolder(folder), folder / "annotations.json")
    assert "is open in another repvit-sam label" in run("label", folder).stderr
    in_use.close()
