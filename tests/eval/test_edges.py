import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from repvit_sam.eval import edges
from repvit_sam.eval.datasets.bsds import AnnotatedPhoto
from repvit_sam.eval.datasets.edge_maps import read_edge_map
from repvit_sam.eval.edges import boundary_slope, choose, distinct, mask_edges, outer_boundary, write_edges

from .discs import disc


def test_the_outer_boundary_lies_beside_the_mask_and_not_on_the_border_of_the_photo():
    mask = np.zeros((7, 8), bool)
    mask[2:4, 0:3] = True
    around = outer_boundary(mask)
    assert not (around & mask).any()
    assert around.sum() == 3 + 2 + 3  # above, right, below; column 0 is the border
    assert not around[:, 0].any()
    assert not outer_boundary(np.ones((5, 5), bool)).any()


def test_the_slope_counts_beside_the_mask_alone():
    probabilities = np.full((20, 30), 0.1, np.float32)
    probabilities[5:15, 8:20] = 0.9
    probabilities[10, 10] = 0.6  # a dent inside, still object
    slope = boundary_slope(probabilities)
    assert (slope > 0).sum() == outer_boundary(probabilities > 0.5).sum()
    assert slope[10, 7] == pytest.approx(4 * 0.8)  # Sobel: weights 1, 2, 1 across a step of 0.8
    assert slope[10, 9] == 0


def test_of_masks_with_nearly_the_same_box_the_better_rated_stays():
    first, again, other, empty = disc(), disc(radius=19), disc(x=70, y=10, radius=8), np.zeros((60, 80), bool)
    kept = distinct(np.array([first, again, other, empty]), np.array([0.5, 0.9, 0.1, 1.0], np.float32))
    assert sorted(kept) == [1, 2]
    assert distinct(empty[None], np.array([1.0], np.float32)).size == 0


class TwoDiscs:
    """Answers every point with the same disc, and one that is empty; logits are steep at the disc's edge."""

    def set_image(self, photo):
        self.photo_hw = photo.shape[:2]

    @property
    def encoded(self):
        from repvit_sam.canvas import CanvasFit
        from repvit_sam.embedding import EncodedPhoto

        return EncodedPhoto(np.zeros(0, np.float32), CanvasFit(self.photo_hw, (1024, 1024), 1024))

    def predict(self, points, labels, batched):
        rows, columns = np.mgrid[0:256, 0:256] + 0.5
        logits = np.stack([60 - np.hypot(rows - 128, columns - 128), np.full((256, 256), -9.0)]).astype(np.float32)
        logits = np.repeat(logits[None], len(points), axis=0)
        return logits > 0, np.tile(np.float32([0.9, 0.8]), (len(points), 1)), logits


def test_a_disc_has_a_circle_for_its_edge():
    found = mask_edges(TwoDiscs(), np.zeros((256, 256, 3), np.uint8), points_per_side=2)
    rows, columns = np.nonzero(found)
    radius = np.hypot(rows + 0.5 - 128, columns + 0.5 - 128)
    assert found.max() == 1
    assert radius.min() > 59.5
    assert radius.max() < 62
    assert len(rows) > 2 * np.pi * 59  # closed


def test_where_no_mask_is_found_there_is_no_edge():
    class Nothing(TwoDiscs):
        def predict(self, points, labels, batched):
            masks, ious, logits = super().predict(points, labels, batched)
            return masks & False, ious, logits

    assert not mask_edges(Nothing(), np.zeros((256, 256, 3), np.uint8), points_per_side=2).any()


def test_maps_keep_sixteen_bits_in_their_files(tmp_path):
    soft = np.linspace(0, 1, 6 * 9, dtype=np.float32).reshape(6, 9)
    write_edges(tmp_path / "soft.png", soft)
    np.testing.assert_allclose(read_edge_map(tmp_path / "soft.png"), soft, atol=1 / 65535)


def test_a_sample_is_named_by_its_seed():
    photos = [AnnotatedPhoto(str(number), None) for number in range(20)]
    assert choose(photos, 5, seed=0) == choose(photos, 5, seed=0) != choose(photos, 5, seed=1)
    assert list(choose(photos, 20, seed=3)) == photos
    assert list(choose(photos, None, seed=0)) == photos
    with pytest.raises(ValueError, match="--sample must be from 1 to 20, the number of photos, got 21"):
        choose(photos, 21, seed=0)


@pytest.fixture
def bsds(tmp_path, formula_photo):
    """Two photos with a disc, which one person has outlined."""
    for name in ("images", "groundTruth"):
        (tmp_path / "bsds" / name).mkdir(parents=True)
    truth = outer_boundary(disc(229, 301, 150, 110, 50)).astype(np.uint8)
    for name in ("1", "2"):
        Image.fromarray(formula_photo).save(tmp_path / "bsds" / "images" / f"{name}.jpg", quality=95)
        people = np.empty((1, 1), dtype=object)
        people[0, 0] = {"Boundaries": truth, "Segmentation": truth}
        savemat(tmp_path / "bsds" / "groundTruth" / f"{name}.mat", {"groundTruth": people})
    return tmp_path / "bsds"


def program(*words):
    app = edges.typer.Typer()
    app.command()(edges.main)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_program_finds_the_outline_of_the_disc(bsds, tmp_path):
    out = tmp_path / "out"
    words = ["--data", bsds, "--checkpoint", "small", "--limit", "1", "--points-per-side", "3"]
    words += ["--out", out, "--save-figures"]
    done = program(*words)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("A SUBSET")
    results = json.loads((out / "results.json").read_text())
    assert results["figures"]["ODS"] > 0.5
    assert results["data"]["names"] == ["1"]
    assert (out / "edges" / "1.png").is_file()
    assert (out / "figures" / "best.jpg").is_file()
    again = program(*words)  # nothing is computed again
    assert json.loads((out / "results.json").read_text())["seconds"] == results["seconds"]
    assert again.exit_code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "edge maps are kept in the folder of --out"),
        (["--out", "o"], "give --data DIR, a BSDS folder"),
        (["--out", "o", "--data", "nowhere"], "nowhere is no BSDS folder"),
        (["--out", "o", "--limit", "1", "--sample", "1"], "give one of them"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(words, sentence):
    done = program(*words)
    assert done.exit_code == 1
    assert sentence in " ".join(done.output.split())
