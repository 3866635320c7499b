import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from repvit_sam.eval import edges
from repvit_sam.eval.datasets.bsds import AnnotatedPhoto
from repvit_sam.eval.datasets.edge_maps import read_edge_map
from repvit_sam.eval.edges import choose, write_edges
from repvit_sam.eval.prompting.mask_edges import outer_boundary

from .discs import disc


def test_maps_keep_sixteen_bits_in_their_files(tmp_path):
    soft = np.linspace(0, 1, 6 * 9, dtype=np.float32).reshape(6, 9)
    write_edges(tmp_path / "soft.png", soft)
    np.testing.assert_allclose(read_edge_map(tmp_path / "soft.png"), soft, atol=1 / 65535)


def test_a_sample_depends_on_its_seed_alone():
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
        ([], "edge maps are written into OUT/edges: give --out DIR"),
        (["--out", "o"], "give --data DIR, a BSDS folder"),
        (["--out", "o", "--data", "nowhere"], "nowhere is no BSDS folder"),
        (["--out", "o", "--limit", "1", "--sample", "1"], "give one of them"),
    ],
)
def test_invalid_options_are_refused_in_one_sentence(words, sentence):
    done = program(*words)
    assert done.exit_code == 1
    assert sentence in " ".join(done.output.split())
