import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from repvit_sam.eval import saliency

from .discs import PHOTO_HW, disc


def run(*words):
    app = saliency.typer.Typer()
    app.command()(saliency.main)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def folders(tmp_path, formula_photo):
    """--images and --masks with two photos, one the other's mirror image."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    truth = disc(*PHOTO_HW, 150, 110, 50)
    for stem, flip in (("a", slice(None)), ("b", slice(None, None, -1))):
        Image.fromarray(formula_photo[:, flip]).save(tmp_path / "images" / f"{stem}.jpg", quality=95)
        Image.fromarray(truth[:, flip].astype(np.uint8) * 255).save(tmp_path / "masks" / f"{stem}.png")
    return ["--images", tmp_path / "images", "--masks", tmp_path / "masks", "--checkpoint", "small"]


def test_the_disc_is_salient_in_its_box(folders, tmp_path):
    result = run(*folders, "--protocol", "box", "--out", tmp_path / "out", "--save-figures")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    assert report["data"]["photos"] == 2
    assert report["figures"]["MAE"] < 0.03
    assert min(report["figures"][name] for name in ("max F", "S-measure", "mean IoU")) > 0.9
    assert (tmp_path / "out" / "figures" / "worst.jpg").is_file()


def test_a_run_goes_on_where_it_was_stopped_and_knows_its_settings(folders, tmp_path):
    out = tmp_path / "out"
    first = run(*folders, "--protocol", "point", "--out", out, "--limit", 1)
    assert first.output.startswith("A SUBSET")
    kept = (out / "records-0.jsonl").read_text()
    second = run(*folders, "--protocol", "point", "--out", out)
    assert second.exit_code == 0, second.output
    records = (out / "records-0.jsonl").read_text()
    assert records.startswith(kept)
    assert records.count("\n") == 2
    assert "protocol = 'point'" in run(*folders, "--protocol", "box", "--out", out).output


def test_everything_mode_gives_the_mask_that_fits_best(folders, tmp_path):
    grid = ["--points-per-side", 3, "--pred-iou-thresh", 0.5, "--stability-score-thresh", 0.5]
    result = run(*folders, "--protocol", "everything-oracle", *grid, "--limit", 1, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "an upper bound" in result.output
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    assert report["protocol"]["points_per_side"] == 3
    assert report["figures"]["mean IoU"] > 0.8


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "masks" / "b.png").unlink(), "1 of 2 photos have no mask of the same stem"),
        (lambda folder: Image.new("L", (301, 229)).save(folder / "masks" / "b.png"), "has no pixel brighter than 128"),
        (lambda folder: Image.new("L", (30, 20), 255).save(folder / "masks" / "b.png"), "b.png is 30x20, its photo is"),
        (lambda folder: (folder / "images" / "a.png").write_bytes(b""), "have one stem"),
        (lambda folder: (folder / "masks" / "b.png").write_bytes(b"no"), "cannot identify image file"),
        (lambda folder: (folder / "masks").rename(folder / "elsewhere"), "--masks takes a folder"),
    ],
)
def test_folders_that_do_not_fit_are_refused_in_a_sentence(folders, tmp_path, spoil, words):
    spoil(tmp_path)
    result = run(*folders, "--protocol", "box")
    assert result.exit_code == 1
    assert words in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (["--protocol", "saliency"], "--protocol must be one of everything-oracle"),
        (["--protocol", "box", "--points-per-side", 8], "belong to everything mode"),
        (["--protocol", "sam-not-perfect", "--pred-iou-thresh", 2], "must lie in 0..1, got 2"),
        (["--protocol", "sam-not-perfect", "--points-per-side", 0], "must be at least 1, got 0"),
        (["--protocol", "box", "--save-figures"], "--save-figures draws into OUT/figures: give --out"),
    ],
)
def test_choices_that_contradict_each_other_are_refused_in_a_sentence(folders, choice, words):
    result = run(*folders, *choice)
    assert result.exit_code == 1
    assert words in " ".join(result.output.split())
