import json

import pytest
from typer.testing import CliRunner

from repvit_sam.eval import seginw
from repvit_sam.eval.seginw import MEAN, mean_row

from .discs import disc_folder


def run(*words):
    app = seginw.typer.Typer()
    app.command()(seginw.main)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def sets(tmp_path, formula_photo):
    """Two folders as SegInW has them: Discs with its photo, and Others, the same photo turned dark."""
    for name, photo in (("Discs", formula_photo), ("Others", formula_photo // 2)):
        folder = disc_folder(tmp_path / "made", photo)
        valid = tmp_path / "seginw" / name / "valid"
        valid.mkdir(parents=True)
        (folder / "images" / "photo.png").rename(valid / "photo.png")
        (folder / "annotations.json").rename(valid / "_annotations_min1cat.coco.json")
        (folder / "images").rmdir()
    return tmp_path / "seginw"


def detector(folder, boxes):
    """``boxes``: set -> boxes (XYWH) of its photo."""
    folder.mkdir()
    for name, found in boxes.items():
        rows = [{"image_id": 7, "category_id": 1, "bbox": box, "score": 0.9} for box in found]
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return folder


def test_every_set_has_a_row_and_below_is_the_mean(sets, tmp_path):
    # the disc, and nothing where one is; the small disc of 5 pixels is missed in both
    boxes = detector(tmp_path / "boxes", {"Discs": [[100, 60, 100, 100]], "Others": [[260, 5, 30, 30]]})
    out = tmp_path / "out"
    words = ["--data", sets, "--boxes", boxes, "--checkpoint", "small", "--out", out]
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "NOT the 25 of SegInW" in result.output
    report = json.loads((out / "results.json").read_text())
    assert list(report["rows"]) == ["Discs", "Others", MEAN]
    assert report["rows"]["Discs"]["AP50"] == pytest.approx(51 / 101)  # one of two, at 51 of 101 recalls
    assert report["rows"]["Others"]["AP"] == 0
    assert report["figures"] == report["rows"][MEAN]
    assert report["figures"]["AP"] == pytest.approx(report["rows"]["Discs"]["AP"] / 2)
    assert report["data"] | {"sets": 2, "photos": 2, "prompts": 2} == report["data"]
    records = (out / "records-0.jsonl").read_bytes()
    assert run(*words).exit_code == 0
    assert (out / "records-0.jsonl").read_bytes() == records


def test_ground_truth_boxes_give_mean_iou_and_figures_and_a_limit_takes_whole_sets(sets, tmp_path):
    out = tmp_path / "out"
    words = ["--data", sets, "--boxes", "ground-truth", "--checkpoint", "small", "--out", out]
    result = run(*words, "--limit", 1, "--save-figures")
    assert result.exit_code == 0, result.output
    assert "the first 1 sets" in result.output
    report = json.loads((out / "results.json").read_text())
    assert list(report["rows"]) == ["Discs", MEAN]
    assert report["rows"]["Discs"]["mIoU"] > 0.8
    assert (out / "figures" / "worst.jpg").is_file()


def test_a_set_in_which_the_detector_found_nothing_counts_as_missed(sets, tmp_path):
    boxes = detector(tmp_path / "boxes", {"Discs": [[100, 60, 100, 100]], "Others": []})
    out = tmp_path / "out"
    result = run("--data", sets, "--boxes", boxes, "--checkpoint", "small", "--out", out)
    assert result.exit_code == 0, result.output
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert rows["Others"]["AP"] == 0
    assert rows[MEAN]["AP50"] == pytest.approx(rows["Discs"]["AP50"] / 2)


def test_a_column_is_averaged_over_the_sets_that_have_it():
    rows = [{"AP": 0.5, "APs": None, "APl": None}, {"AP": 0.1, "APs": 0.4, "APl": None}]
    assert mean_row(rows) == {"AP": pytest.approx(0.3), "APs": 0.4, "APl": None}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("no sets", "is no SegInW folder"),
        ("no photo", "1 of 1 photos of _annotations_min1cat.coco.json are not in"),
        ("no boxes of a set", "Others.json is missing"),
        ("boxes of another set", "belongs to another data set"),
    ],
)
def test_missing_files_are_refused_before_anything_is_computed(sets, tmp_path, change, words):
    boxes = detector(tmp_path / "boxes", {"Discs": [[0, 0, 9, 9]], "Others": [[0, 0, 9, 9]]})
    if change == "no sets":
        sets = tmp_path / "boxes"
    elif change == "no photo":
        (sets / "Others" / "valid" / "photo.png").unlink()
    elif change == "no boxes of a set":
        (boxes / "Others.json").unlink()
    else:
        (boxes / "Others.json").write_text(
            json.dumps([{"image_id": 8, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1}])
        )
    result = run("--data", sets, "--boxes", boxes, "--checkpoint", "small", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert words in result.output.replace("\n", " ")
    assert not (tmp_path / "out").exists()
