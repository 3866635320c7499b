"""The command."""

import signal
import time

import pytest
import torch
import typer
from typer.testing import CliRunner

from repvit_sam.distill import train as train_script

from ..eval.discs import disc_folder
from ..processes import Command
from .conftest import ENCODER


@pytest.mark.slow
def test_sigterm_ends_the_command_with_everything_saved(tmp_path, recipe_of):
    (tmp_path / "r.yaml").write_text(recipe_of({**ENCODER, "steps": 5000}).as_yaml())
    words = [tmp_path / "r.yaml", "--out", tmp_path / "run", "--device", "cpu"]
    command = Command(*words, module=train_script.__name__)
    deadline = time.monotonic() + 300  # a busy machine is slow to import torch
    while not list((tmp_path / "run").glob("tensorboard/events*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    command.send_signal(signal.SIGTERM)
    code, _, said = command.result()
    assert code == 128 + signal.SIGTERM
    assert "SIGTERM: saved at step" in said
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["position"]["step"] > 0


@pytest.mark.slow
def test_the_smoke_recipe_goes_all_the_way(tmp_path, photos_folder, formula_photo):
    """Both stages and the table, shortened; docs/training.md has the figures of the whole."""
    folder = disc_folder(tmp_path / "coco", formula_photo)
    app = typer.Typer()
    app.command()(train_script.main)
    words = ["smoke", "--out", tmp_path / "run", "--set", f"data.sources=[{photos_folder}]", "--set",
             f"validation.folder={folder}", "--set", "canvas=256", "--set", "stages.0.batch=2", "--minutes", 0.1,
             "--limit", 12, "--set", "data.hold_out=2", "--device", "cpu"]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    for word in ("teacher", "1 encoder", "2 prompts", "agreement"):
        assert word in result.stdout
    again = CliRunner().invoke(app, [str(word) for word in [*words, "--set", "canvas=100"]])
    assert again.exit_code == 1
    assert "canvas" in again.stderr
