import json

import pytest
from typer.testing import CliRunner

from repvit_sam.eval import instances

from .discs import disc_folder, edit_annotations


@pytest.fixture
def one_photo(tmp_path, formula_photo):
    return disc_folder(tmp_path / "data", formula_photo)


def program(folder, *words):
    command = ["--images", str(folder / "images"), "--annotations", str(folder / "annotations.json")]
    app = instances.typer.Typer()
    app.command()(instances.main)
    return CliRunner().invoke(app, [*command, "--checkpoint", "small", *words])


def test_the_program_finds_the_disc_and_writes_all_results(one_photo, tmp_path):
    out = tmp_path / "out"
    done = program(one_photo, "--boxes", "ground-truth", "--limit", "1", "--out", str(out), "--save-figures")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("A SUBSET, not comparable with figures of the whole set: the first 1 photos")
    results = json.loads((out / "results.json").read_text())
    assert results["figures"]["mIoU medium"] > 0.9  # COCO's medium: the disc
    assert results["protocol"]["name"] == "repvit-sam"
    assert len(results["sha256"]) == 64
    assert results["subset"] == "the first 1 photos"
    assert {"versions", "hardware", "seconds", "threads", "engine"} <= results.keys()
    assert (out / "table.md").read_text().strip() == done.stdout.strip()
    assert {path.name for path in (out / "figures").iterdir()} == {"best.jpg", "median.jpg", "worst.jpg"}
    assert len(json.loads((out / "detections.json").read_text())) == 2

    again = program(one_photo, "--boxes", "ground-truth", "--out", str(out), "--protocol", "sam")
    assert again.exit_code == 1
    assert "holds a run with refinements = 0, this one has 1" in again.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--boxes", "none.json"], "none.json is missing"),
        (["--boxes", "ground-truth", "--dataset", "voc"], "--dataset must be coco or lvis, got 'voc'"),
        (["--boxes", "ground-truth", "--dataset", "lvis"], "are these COCO"),
        (["--boxes", "ground-truth", "--protocol", "mine"], "--protocol must be one of"),
        (["--boxes", "ground-truth", "--save-figures"], "--save-figures draws into OUT/figures: give --out"),
        (["--boxes", "ground-truth", "--engine", "tensorrt"], "--engine must be one of torch, onnx"),
        (["--boxes", "ground-truth", "--checkpoint", "huge"], "'huge' is neither a file nor a known checkpoint"),
        (["--boxes", "ground-truth", "--workers", "0"], "--workers must be at least 1"),
    ],
)
def test_invalid_options_are_refused_in_one_sentence(one_photo, words, sentence):
    done = program(one_photo, *words)
    assert done.exit_code == 1
    assert sentence in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_photos_without_any_box_are_refused(one_photo):
    edit_annotations(one_photo, lambda content: content["annotations"].clear())
    assert "none of the 1 photos has a box" in program(one_photo, "--boxes", "ground-truth").output
