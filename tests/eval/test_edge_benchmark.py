import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from repvit_sam.eval import edge_benchmark
from repvit_sam.eval.datasets.bsds import annotated_photos
from repvit_sam.eval.edge_benchmark import EdgeJob, benchmark, count_edges, count_human
from repvit_sam.eval.metrics.edges import EdgeCounts
from tests.eval.test_bsds import save_truth

HW = (60, 80)  # diagonal 100: 0.0075 would be 0.75 pixels, 0.03 is 3
TOLERANCE = 0.03


def column(x, value=True, rows=slice(10, 50)):
    """A line of 40 pixels."""
    mask = np.zeros(HW, type(value))
    mask[rows, x] = value
    return mask


def test_counts_of_a_map_of_two_lines():
    # strong where two people drew, weaker (0.4) where nobody did; the second person's other line is missed
    edges = column(20, 0.8) + column(40, 0.4)
    counts = count_edges(edges, [column(21), column(18) | column(60)], (0.3, 0.5, 0.9), TOLERANCE)
    assert counts == EdgeCounts(
        matched_truth=(80, 80, 0), truth=(120, 120, 120), matched_predicted=(40, 40, 0), predicted=(80, 40, 0)
    )


def test_a_threshold_is_reached_by_its_own_value():
    assert count_edges(column(20, 0.5), [column(20)], (0.49, 0.5, 0.51), TOLERANCE).predicted == (40, 40, 0)
    exact = column(20, 0.29).astype(np.float32)  # below the double 0.29
    assert count_edges(exact, [column(20)], (0.28, 0.29, 0.3), TOLERANCE).predicted == (40, 40, 0)


def test_thick_edges_are_thinned_before_they_are_counted():
    thick = column(19, 1.0) + column(20, 1.0) + column(21, 1.0)
    counts = count_edges(thick, [column(20)], (0.5,), TOLERANCE)
    assert counts.predicted[0] <= 40
    assert counts.precision[0] == 1


def test_a_predicted_pixel_is_right_if_anybody_drew_it():
    # each person's line is matched in full, but the 40 predicted pixels of either half count once
    top, bottom = slice(10, 30), slice(30, 50)
    counts = count_edges(column(20, 1.0), [column(20, rows=top), column(20, rows=bottom)], (0.5,), TOLERANCE)
    assert counts == EdgeCounts((40,), (40,), (40,), (40,))


def test_people_who_agree_half_way():
    # 0: both lines; 1: the first; 2: the first
    both, first = column(20) | column(60), column(20)
    counts = count_human([both, first, first], TOLERANCE)
    # 0 finds 40 + 40 of 80 and is right with 40 of 80; 1 and 2 find 40 + 40 of 120 and are right with 40 of 40, each
    assert counts == EdgeCounts((80 + 80 + 80,), (80 + 120 + 120,), (40 + 40 + 40,), (80 + 40 + 40,))
    with pytest.raises(ValueError, match="2 or more, got 1"):
        count_human([both])


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
    assert [{**record, "seconds": 0} for record in alone[1]] == [{**record, "seconds": 0} for record in together[1]]


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


def test_a_subset_is_called_one(folder, maps):
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
def test_wrong_words_are_refused_in_one_sentence(folder, maps, words, sentence):
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
