import json

import pytest
from typer.testing import CliRunner

from repvit_sam.eval.tools import simulate_boxes
from repvit_sam.eval.tools.simulate_boxes import Faults, simulate


def scene(photos=200):
    images = [{"id": number, "width": 300, "height": 200} for number in range(1, photos + 1)]
    annotations = [
        {"id": number, "image_id": number, "category_id": 1 + number % 2, "bbox": [50, 60, 100, 80], "iscrowd": 0}
        for number in range(1, photos + 1)
    ]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1}, {"id": 2}]}


def test_the_same_seed_gives_the_same_boxes_whatever_else_is_in_the_file():
    whole, part = scene(), scene()
    part["images"], part["annotations"] = part["images"][100:], part["annotations"][100:]
    rows = simulate(whole, Faults(), seed=3)
    assert simulate(part, Faults(), seed=3) == [row for row in rows if row["image_id"] > 100]
    assert simulate(whole, Faults(), seed=4) != rows


def test_without_faults_the_boxes_are_the_true_ones():
    rows = simulate(scene(20), Faults(noise=0, misses=0, false_boxes=0), seed=0)
    assert [row["bbox"] for row in rows] == [[50, 60, 100, 80]] * 20
    assert [row["category_id"] for row in rows] == [1 + number % 2 for number in range(1, 21)]


def test_misses_and_false_boxes_are_as_many_as_asked_for():
    assert simulate(scene(20), Faults(misses=1, false_boxes=0), seed=0) == []
    found = simulate(scene(), Faults(noise=0, misses=0.25, false_boxes=0), seed=0)
    assert 0.65 * 200 < len(found) < 0.85 * 200
    false = simulate(scene(), Faults(misses=1, false_boxes=2), seed=0)
    assert 1.8 * 200 < len(false) < 2.2 * 200


def test_boxes_stay_on_the_photo_and_true_ones_score_higher():
    content = scene()
    for annotation in content["annotations"]:
        annotation["bbox"] = [0, 0, 300, 200]  # the sides can only leave the photo
    for row in simulate(content, Faults(noise=0.2), seed=0):
        x, y, width, height = row["bbox"]
        assert x >= 0 <= y
        assert x + width <= 300
        assert y + height <= 200
        assert 0 < row["score"] <= 1
    true = simulate(scene(), Faults(misses=0, false_boxes=0), seed=0)
    false = simulate(scene(), Faults(misses=1, false_boxes=1), seed=0)
    assert sum(row["score"] for row in true) / len(true) > 0.3 + sum(row["score"] for row in false) / len(false)


def test_crowds_are_no_objects():
    content = scene(3)
    content["annotations"][0]["iscrowd"] = 1
    assert {row["image_id"] for row in simulate(content, Faults(misses=0, false_boxes=0), seed=0)} == {2, 3}


def program(*words):
    app = simulate_boxes.typer.Typer()
    app.command()(simulate_boxes.main)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_program_writes_a_results_list(tmp_path):
    (tmp_path / "annotations.json").write_text(json.dumps(scene(5)))
    done = program("--annotations", tmp_path / "annotations.json", "--out", tmp_path / "boxes.json")
    assert done.exit_code == 0
    assert json.loads((tmp_path / "boxes.json").read_text()) == simulate(scene(5), Faults(), 0)


@pytest.mark.parametrize(
    ("content", "words", "sentence"),
    [
        ("{}", [], "is not in COCO or LVIS format"),
        ("no json", [], "is not in COCO or LVIS format"),
        (json.dumps(scene(1)), ["--misses", "2"], "--misses between 0 and 1"),
    ],
)
def test_invalid_options_are_refused_in_one_sentence(tmp_path, content, words, sentence):
    (tmp_path / "annotations.json").write_text(content)
    done = program("--annotations", tmp_path / "annotations.json", "--out", tmp_path / "boxes.json", *words)
    assert done.exit_code == 1
    assert sentence in " ".join(done.output.split())
