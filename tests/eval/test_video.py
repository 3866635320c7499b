import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from repvit_sam.eval import video
from repvit_sam.eval.datasets.davis import read_davis, read_labels
from repvit_sam.eval.metrics.video import summarise
from repvit_sam.eval.prompting.propagation import Propagation
from repvit_sam.rle import decode_rle

from .made_up_video import write_davis


def run(*words):
    app = video.typer.Typer()
    app.command()(video.main)
    return CliRunner().invoke(app, [str(word) for word in words])


class Oracle:
    """A predictor whose masks are the annotations of a sequence, shifted by some pixels."""

    def __init__(self, sequence, shift=0):
        self.answers = [np.roll(sequence.masks(index), shift, 2) for index in range(1, len(sequence.frames))]

    def set_image(self, photo):
        self.masks = self.answers.pop(0)

    def predict(self, **prompts):
        return np.where(self.masks, 5.0, -5.0).astype(np.float32)[:, None], None, None


@pytest.fixture(scope="module")
def davis(tmp_path_factory):
    return write_davis(tmp_path_factory.mktemp("data") / "DAVIS", frames=4, height=96)


@pytest.fixture(scope="module")
def evaluated(davis, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "video"
    words = ["--data", davis, "--checkpoint", "small", "--device", "cpu", "--limit", 1, "--out", out]
    return run(*words, "--save-masks", "--save-figures"), words


def test_a_perfect_predictor_scores_one_and_shifted_masks_less(davis):
    sequence = read_davis(davis)[0]
    perfect = video.evaluate_sequence(Oracle(sequence), sequence, Propagation("box"))
    row = summarise(list(video.statistics_of({sequence.name: perfect}).values()))
    assert row == {"J&F": 1, "J mean": 1, "J recall": 1, "J decay": 0, "F mean": 1, "F recall": 1, "F decay": 0}
    aside = video.evaluate_sequence(Oracle(sequence, shift=6), sequence, Propagation("box"))
    assert 0 < summarise(list(video.statistics_of({sequence.name: aside}).values()))["J&F"] < 0.8


def test_the_first_and_the_last_frame_are_not_scored_but_the_last_is_kept(davis):
    sequence = read_davis(davis)[0]
    found = video.evaluate_sequence(Oracle(sequence), sequence, Propagation("box"))["objects"]
    assert [(one["id"], len(one["J"]), len(one["F"]), len(one["masks"])) for one in found] == [
        (1, 2, 2, 3),
        (2, 2, 2, 3),
    ]
    np.testing.assert_array_equal(decode_rle(found[1]["masks"][-1]), sequence.masks(3)[1])


def test_two_cut_outs_are_followed_and_the_results_are_complete(evaluated, davis):
    result, words = evaluated
    assert result.exit_code == 0, result.output
    assert "A SUBSET, not comparable with figures of the whole set: the first 1 sequences" in result.output
    assert "mask-to-box propagation, box+mask, small: 1 sequences" in result.output
    report = json.loads((words[-1] / "results.json").read_text())
    assert report["figures"]["J&F"] > 0.7
    assert report["figures"]["J recall"] == 1
    assert report["data"] | {"sequences": 1, "objects": 2, "frames": 4} == report["data"]
    assert report["subset"] == "the first 1 sequences"
    assert (report["protocol"]["prompt"], report["protocol"]["margin"]) == ("box+mask", 0.02)
    objects = json.loads((words[-1] / "objects.json").read_text())
    assert list(objects) == ["cats-over-coffee 1", "cats-over-coffee 2"]
    assert np.mean([one["J"]["mean"] for one in objects.values()]) == pytest.approx(report["figures"]["J mean"])


def test_saved_masks_lie_as_davis_wants_them_and_give_the_scores_again(evaluated, davis):
    _, words = evaluated
    folder, sequence = words[-1] / "masks" / "cats-over-coffee", read_davis(davis)[0]
    assert [path.name for path in sorted(folder.glob("*"))] == [path.name for path in sequence.annotations]
    np.testing.assert_array_equal(read_labels(folder / "00000.png"), read_labels(sequence.annotations[0]))
    saved = replace(sequence, annotations=tuple(sorted(folder.glob("*.png"))))
    row = summarise(
        list(video.statistics_of({"": video.evaluate_sequence(Oracle(saved), sequence, Propagation("box"))}).values())
    )
    assert row == json.loads((words[-1] / "results.json").read_text())["figures"]


def test_figures_are_drawn(evaluated):
    _, words = evaluated
    assert sorted(path.name for path in (words[-1] / "figures").iterdir()) == ["best.jpg", "median.jpg", "worst.jpg"]


def test_the_same_command_again_computes_nothing_and_another_prompt_is_refused(evaluated):
    first, words = evaluated
    records = (words[-1] / "records-0.jsonl").read_bytes()
    again = run(*words)
    assert again.exit_code == 0, again.output
    assert again.stdout == first.stdout
    assert (words[-1] / "records-0.jsonl").read_bytes() == records
    other = run(*words, "--prompt", "box")
    assert other.exit_code == 1
    assert "holds a run with prompt = 'box+mask', this one has 'box'" in other.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--save-masks"], "--save-masks writes into OUT/masks: give --out"),
        (["--save-figures"], "--save-figures draws into OUT/figures: give --out"),
        (["--prompt", "points"], "--prompt must be one of box, box+mask"),
        (["--margin", "-0.1"], "--margin must be a share from 0 to 1"),
        (["--subset", "test-dev"], "test-dev.txt is missing"),
        (["--checkpoint", "none_such"], "none_such"),
    ],
)
def test_invalid_options_are_refused_in_one_sentence(davis, words, sentence):
    result = run("--data", davis, "--checkpoint", "small", *words)
    assert result.exit_code == 1
    assert sentence in result.output
