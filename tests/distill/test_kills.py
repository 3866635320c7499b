"""Training killed with SIGKILL at random moments ends with the same weights, bit by bit."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from repvit_sam.distill import train as train_script

from ..processes import KILLS, Killer
from .conftest import ENCODER

PROMPTS = {"kind": "prompts", "steps": 30, "batch": 2, "prompts": 2, "freeze_batchnorm": True}


@pytest.mark.kills
def test_twenty_kills_and_twenty_continuations_end_with_the_same_weights(tmp_path, recipe_of):
    recipe = recipe_of(
        {**ENCODER, "steps": 60},
        PROMPTS,
        engine={"save_every_minutes": 1e-6},  # after each step
        data={**recipe_of(ENCODER).data.model_dump(), "hold_out": 2},
    )
    (tmp_path / "recipe.yaml").write_text(recipe.as_yaml())

    def command(run):
        words = [str(Path(train_script.__file__)), str(tmp_path / "recipe.yaml"), "--device", "cpu", "--out", str(run)]
        return [sys.executable, *words]

    def weights(run):
        state = torch.load(run / "state.pt", weights_only=True)
        return {**state["student"], **{f"ema {name}": weight for name, weight in state["ema"].items()}}

    def goes_on(run):
        """Whether the life that begins now has saved a step of its own, or has nothing left to do."""
        state = run / "state.pt"
        before = state.stat().st_mtime_ns if state.exists() else 0
        return lambda: state.exists() and state.stat().st_mtime_ns != before

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command(tmp_path / "whole"), check=True, **quiet)
    whole = weights(tmp_path / "whole")
    runs = [tmp_path / "killed 0"]
    for seed in range(KILLS):
        if not Killer(command(runs[-1]), (0, 4), goes_on(runs[-1]), seed, **quiet).life():  # it came to its end
            runs.append(tmp_path / f"killed {len(runs)}")
    subprocess.run(command(runs[-1]), check=True, **quiet)
    for run in runs:
        killed = weights(run)
        assert killed.keys() == whole.keys()
        assert all(torch.equal(killed[name], whole[name]) for name in whole)
    print(f"{KILLS} lives, {len(runs)} runs")
