import json
from dataclasses import dataclass

import numpy as np
import pytest

from repvit_sam.eval.runner.config import EvaluationConfig, RunConfig
from repvit_sam.eval.runner.evaluate import evaluate
from repvit_sam.eval.runner.pictures import Example
from repvit_sam.eval.runner.results import Summary
from repvit_sam.jobs.chosen_model import ChosenModel


@dataclass(frozen=True)
class SquaresConfig(EvaluationConfig):
    program = "eval/squares.py"
    unit = "numbers"

    exponent: int = 2

    @property
    def settings(self):
        return {"exponent": self.exponent}


@dataclass(frozen=True)
class SquaresJob:
    keys: tuple[int, ...]
    exponent: int = 2

    def start(self):
        return lambda key: {"power": key**self.exponent}


def summarise(records):
    assert all(isinstance(key, int) for key in records)
    powers = [record["power"] for record in records.values()]
    return Summary(
        protocol={"name": "squares"},
        data={"numbers": len(records)},
        metrics={"mean": float(np.mean(powers))},
        examples=lambda: [Example(power, lambda: np.zeros((9, 9, 3), np.uint8)) for power in powers],
        write_files=lambda out: (out / "powers.json").write_text(json.dumps(powers)),
    )


@pytest.mark.parametrize("save_pictures", [False, True])
def test_the_table_is_printed_and_all_files_are_written(tmp_path, capsys, save_pictures):
    run = RunConfig(ChosenModel("small", device="cpu"), tmp_path / "out", limit=3, save_pictures=save_pictures)
    evaluate(SquaresJob((3, 1, 2)), SquaresConfig(run), summarise)
    table = capsys.readouterr().out
    assert "eval/squares.py, squares, small: 3 numbers" in table
    assert "the first 3 numbers" in table
    out = tmp_path / "out"
    assert (out / "table.md").read_text() == table
    assert json.loads((out / "results.json").read_text())["figures"] == {"mean": pytest.approx(14 / 3)}
    assert json.loads((out / "settings.json").read_text()) == {"exponent": 2}
    assert [json.loads(line)["key"] for line in (out / "records-0.jsonl").read_text().splitlines()] == ["3", "1", "2"]
    assert json.loads((out / "powers.json").read_text()) == [9, 1, 4]
    assert (out / "figures" / "best.jpg").exists() == save_pictures


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    evaluate(SquaresJob((3,)), SquaresConfig(RunConfig(ChosenModel("small", device="cpu"))), summarise)
    assert "9.000" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_other_settings_are_refused(tmp_path):
    run = RunConfig(ChosenModel("small", device="cpu"), tmp_path)
    evaluate(SquaresJob((3,)), SquaresConfig(run), summarise)
    with pytest.raises(ValueError, match="holds a run with exponent = 2, this one has 3"):
        evaluate(SquaresJob((3,), 3), SquaresConfig(run, 3), summarise)
