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

    subprocess.run(command(tmp_path / "whole"), check=True, stderr=subprocess.DEVNULL)
    whole = weights(tmp_path / "whole")
    kills, run = 0, 0
    while kills < KILLS:
        killer = Killer(command(tmp_path / f"killed {run}"), (3, 20), seed=run, stderr=subprocess.DEVNULL)
        while killer.life():  # until it has come to its end
            kills += 1
        killed = weights(tmp_path / f"killed {run}")
        assert killed.keys() == whole.keys()
        assert all(torch.equal(killed[name], whole[name]) for name in whole)
        run += 1
    print(f"{kills} kills in {run} runs")
