import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from repvit_sam.eval import edge_benchmark
from repvit_sam.eval.datasets.bsds import annotated_photos
from repvit_sam.eval.edge_benchmark import EdgeJob, benchmark

from .datasets.test_bsds import save_truth
from .lines import HW, TOLERANCE, column


@pytest.fixture
def folder(tmp_path):
    """A BSDS folder of three photos, a step each, which two people see a pixel apart."""
    (tmp_path / "images").mkdir()
    for k, name in enumerate(("a", "b", "c")):
        photo = np.full((*HW, 3), 20, np.uint8)
        photo[:, 30 + k :] = 200
        Image.fromarray(photo).save(tmp_path / "images" / f"{name}.jpg", quality=95)
        truths = [column(x, rows=slice(0, 60)) for x in (30 + k, 31 + k)]
        save_truth(tmp_path / "groundTruth" / f"{name}.mat", *truths)
    return tmp_path


@pytest.fixture
def maps(folder):
    """Maps for it: the line of the first person at 0.6, and for b a wrong one at 0.4."""
    (folder / "edges").mkdir()
    for k, name in enumerate(("a", "b", "c")):
        edges = column(30 + k, 0.6, rows=slice(0, 60)) + (column(70, 0.4, rows=slice(0, 60)) if name == "b" else 0)
        Image.fromarray(np.round(edges * 255).astype(np.uint8)).save(folder / "edges" / f"{name}.png")
    return folder / "edges"


def run(*words):
    app = edge_benchmark.typer.Typer()
    app.command()(edge_benchmark.main)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_scores_maps_in_files(folder, maps):
    words = ["--edges", maps, "--truth", folder / "groundTruth", "--max-distance", TOLERANCE]
    result = run(*words, "--json", folder / "r.json")
    assert result.exit_code == 0, result.output
    report = json.loads((folder / "r.json").read_text())
    assert report["photos"] == 3
    assert report["ods"] == report["ois"] == 1
    assert report["ods_threshold"] == 0.41
    assert report["recall"] == [1.0] * 60 + [0.0] * 39
    assert report["precision"] == pytest.approx([180 / 240] * 40 + [1.0] * 20 + [0.0] * 39)
    assert report["recall_at_half_precision"] == pytest.approx(1 / 1.5)  # between the points (1, 0.75) and (0, 0)
    assert report["counts"]["b"]["predicted"] == [120] * 40 + [60] * 20 + [0] * 39
    assert "1.000" in result.stdout


def test_two_processes_count_as_one_does(folder, maps):
    job = EdgeJob(annotated_photos(folder), maps={name: maps / f"{name}.png" for name in "abc"}, max_distance=TOLERANCE)
    alone, together = benchmark(job), benchmark(job, workers=2)
    assert alone[0] == together[0]
    for found in (alone, together):
        assert [record.pop("seconds") >= 0 for record in found[1].values()] == [True] * 3
    assert list(alone[1].items()) == list(together[1].items())


@pytest.mark.parametrize("detector", ["canny", "sobel"])
def test_detectors_find_the_step(folder, detector):
    result = run("--data", folder, "--detector", detector, "--max-distance", TOLERANCE, "--json", folder / "r.json")
    assert result.exit_code == 0, result.output
    report = json.loads((folder / "r.json").read_text())
    assert report["ods"] > 0.9


def test_people_a_pixel_apart_agree(folder):
    result = run("--data", folder, "--detector", "human", "--max-distance", TOLERANCE, "--json", folder / "r.json")
    assert result.exit_code == 0, result.output
    report = json.loads((folder / "r.json").read_text())
    assert (report["ods"], report["ods_recall"], report["ods_precision"]) == (1, 1, 1)
    assert report["average_precision"] is None
    apart = run("--data", folder, "--detector", "human", "--json", folder / "r.json")  # 0.75 pixels
    assert apart.exit_code == 0
    assert json.loads((folder / "r.json").read_text())["ods"] == 0


def test_a_subset_is_marked(folder, maps):
    result = run("--edges", maps, "--data", folder, "--limit", 1)
    assert "A SUBSET: the first 1, 1 photos" in result.stdout


def test_nms_makes_lines_of_broad_maps(folder):
    (folder / "soft").mkdir()
    x = np.arange(80)
    for k, name in enumerate(("a", "b", "c")):
        np.save(folder / "soft" / f"{name}.npy", np.tile(0.9 * np.exp(-((x - 30 - k) ** 2) / 18), (60, 1)))
    job = EdgeJob(annotated_photos(folder), maps={name: folder / "soft" / f"{name}.npy" for name in "abc"})
    job = replace(job, max_distance=TOLERANCE)
    with_nms, _ = benchmark(replace(job, nms=True))
    # at every threshold there is one line; without it the faint flanks become lines where the map is cut low
    assert with_nms.precision[5] == 1
    assert with_nms.ods > 0.9


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--data", "DIR"], "give either --edges DIR or --detector NAME"),
        (["--data", "DIR", "--edges", "DIR/edges", "--detector", "canny"], "give either --edges DIR or --detector"),
        (["--detector", "canny"], "give the true boundaries: --truth DIR"),
        (["--detector", "canny", "--truth", "DIR/groundTruth"], "--detector canny needs the photos"),
        (["--data", "DIR", "--detector", "hed"], "--detector must be one of human, canny, sobel, got 'hed'"),
        (["--data", "DIR", "--detector", "canny", "--nms"], "--nms is for --edges"),
        (["--data", "DIR", "--edges", "DIR/edges", "--max-distance", "3"], "--max-distance is a share of the diagonal"),
        (["--data", "DIR", "--edges", "DIR/nowhere"], "nowhere is no folder of edge maps"),
        (["--data", "DIR/images", "--edges", "DIR/edges"], "is no BSDS folder"),
    ],
)
def test_invalid_options_are_refused_in_one_sentence(folder, maps, words, sentence):
    result = run(*(word.replace("DIR", str(folder), 1) if word.startswith("DIR") else word for word in words))
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_maps_that_do_not_fit_are_refused_before_anything_is_computed(folder, maps):
    Image.new("L", (80, 61)).save(maps / "c.png")
    result = run("--data", folder, "--edges", maps)
    assert result.exit_code == 1
    assert "c.png has the size (H, W) = (61, 80), its true boundaries have (60, 80)" in result.stderr
    (maps / "b.png").unlink()
    assert "has no edge map of 1 of 3 photos; expected b.png or .npy" in run("--data", folder, "--edges", maps).stderr
