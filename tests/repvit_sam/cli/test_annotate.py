"""``repvit-sam annotate`` and ``annotations`` as a person gives them."""

import re

import pytest
from PIL import Image

from ..annotate.conftest import save_photo
from .conftest import run

GRID = ("--points-per-side", 2, "--pred-iou", 0.1, "--stability", 0.1, "--workers", 1)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name in ("coffee", "rocket"):
        save_photo(folder / f"{name}.jpg", name)
    return folder


def test_a_stranger_sees_what_was_made_what_failed_and_where_it_is(photos, tmp_path, light):
    out = tmp_path / "out"
    (photos / "broken.jpg").write_bytes(b"no photo")
    (photos / "empty.png").write_bytes(b"")
    done = run("annotate", photos, "--out", out, *light, *GRID, "--preview", 2)
    assert done.exit_code == 0
    masks = re.fullmatch(rf"2 images, (\d+) masks -> {out}/annotations.json\n{out}/preview.jpg\n", done.stdout)
    assert masks
    assert int(masks[1]) >= 2
    lines = done.stderr.splitlines()
    assert lines[0] == "4 images"
    assert lines[1].startswith("failed: broken.jpg: the file is not a picture in a known format (JPEG, ")
    assert lines[2] == "failed: empty.png: the file: empty, no picture inside"
    assert re.fullmatch(r"4 images in 0:\d\d, \S+ images/(s|min), at most [\d,]+ MiB of memory a process", lines[3])
    assert lines[4] == f"2 of 4 images failed; each with its reason: {out}/failed.jsonl"
    assert Image.open(out / "preview.jpg").size == (976, 504)
    again = run("annotate", photos, "--out", out, *light, *GRID).stderr.splitlines()
    assert again[0] == "everything is done already"
    assert f"to look at some of them: repvit-sam annotations preview {out}" in again


def test_where_every_image_fails_the_exit_code_is_1(tmp_path, light):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    done = run("annotate", tmp_path / "photos", "--out", tmp_path / "out", *light, *GRID)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("all of 1 images failed; each with its reason: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none"], "Error: none does not exist; expected a folder, a 'pattern*', a .txt list"),
        (["PHOTOS", "--format", "yolo"], "Error: --format must be one of coco, parquet, png, sa1b, got 'yolo'"),
        (["PHOTOS", "--runner", "spark"], "Error: --runner must be one of local, ray, got 'spark'"),
        (["PHOTOS", "--gpus-per-worker", 1], "Error: --address and --gpus-per-worker go with --runner ray"),
        (["PHOTOS", "--use", "words"], "Error: --use must be one of boxes, points, keypoints, none, got 'words'"),
        (["PHOTOS", "--images", "x"], "Error: --images and --annotations go with a .json of prompts"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(photos, tmp_path, light, words, said):
    words = [photos if word == "PHOTOS" else word for word in words]
    done = run("annotate", *words, "--out", tmp_path / "out", *light, *GRID)
    assert done.exit_code == 1
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1


def test_results_are_filtered_converted_merged_and_shown(photos, tmp_path, light):
    out = tmp_path / "out"
    run("annotate", photos, "--out", out, *light, *GRID)
    words = ("annotations", "filter", out, "--out", tmp_path / "one", "--most", 1)
    assert run(*words).stdout == f"2 images, 2 masks -> {tmp_path}/one/annotations.json\n"
    done = run("annotations", "convert", tmp_path / "one", "--to", "png", "--out", tmp_path / "maps")
    assert done.stdout == f"2 images, 2 masks -> {tmp_path}/maps/masks\n"
    assert sorted(path.name for path in (tmp_path / "maps" / "masks").iterdir()) == [
        *("coffee.json", "coffee.png", "rocket.json", "rocket.png")
    ]
    done = run("annotations", "merge", out, tmp_path / "one", "--prefix", "--out", tmp_path / "both")
    assert done.stdout.startswith("4 images, ")
    done = run("annotations", "preview", tmp_path / "one", "--count", 1, "--out", tmp_path / "sheet.png")
    assert done.stdout == f"{tmp_path}/sheet.png\n"
    assert Image.open(tmp_path / "sheet.png").size == (488, 504)
    done = run("annotations", "convert", photos, "--to", "png", "--out", tmp_path / "x")
    assert (done.exit_code, done.stderr) == (1, f"Error: {photos} holds no results of repvit-sam annotate\n")


def test_the_help_names_every_group_of_options():
    words = run("annotate", "--help").stdout
    for group in ("A source with prompts (.json)", "Masks without prompts", "How it is run"):
        assert group in words
    assert "Stop it and give the same command again: it goes on." in words
