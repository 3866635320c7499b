import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import load_file

import repvit_sam
from repvit_sam.distill import train as train_script
from repvit_sam.distill.data.embedding_cache import CacheError
from repvit_sam.distill.data.loader import Batch
from repvit_sam.distill.recipe import RecipeError
from repvit_sam.distill.run.stage_run import StageRun
from repvit_sam.distill.teacher import load_teacher
from repvit_sam.distill.trainer import train

from .caches import run_command
from .conftest import ENCODER


def state_of(run):
    return torch.load(run / "state.pt", weights_only=True)


def assert_equal_weights(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


class Killed(Exception):
    pass


def train_and_die(recipe, run, step, monkeypatch):
    """Save after every step; die, without a word, in the midst of ``step`` (stage from 0, step from 1)."""
    original = StageRun.forward_backward

    def dying(self):
        if (self.state.stage, self.state.step + 1) == step:
            raise Killed
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(StageRun, "forward_backward", dying)
        with pytest.raises(Killed):
            train(recipe, run, "cpu")


@pytest.mark.slow
def test_a_run_killed_at_any_step_ends_with_the_same_weights_bit_by_bit(tmp_path, recipe_of, monkeypatch):
    prompts = {"kind": "prompts", "steps": 2, "batch": 2, "prompts": 2, "freeze_batchnorm": True}
    prompts["embedding_weight"] = 1.0  # divided by the variance, which a resumed run must not measure anew
    recipe = recipe_of(
        {**ENCODER, "steps": 3, "accumulate": 2},
        prompts,
        engine={"save_every_minutes": 1e-6},
        data={**recipe_of(ENCODER).data.model_dump(), "limit": 6, "hold_out": 2},
    )
    whole = train(recipe, tmp_path / "whole", "cpu").path
    for step in [(0, 2), (0, 3), (1, 1), (1, 2)]:
        train_and_die(recipe, tmp_path / "killed", step, monkeypatch)
    train(recipe, tmp_path / "killed", "cpu")
    for part in ("student", "ema"):
        assert_equal_weights(state_of(tmp_path / "killed")[part], state_of(whole)[part])
    assert state_of(whole)["position"]["images"] == 3 * 4 * 2 + 2 * 2


@pytest.mark.slow
def test_two_processes_equal_one_with_the_same_global_batch(tmp_path, recipe_of):
    """In float64, where no rounding hides a mistake; AdamW, batch norms over all ranks, accumulation."""
    recipe = recipe_of(
        {**ENCODER, "steps": 3, "accumulate": 1, "batch": 4},
        data={**recipe_of(ENCODER).data.model_dump(), "limit": 6},
        engine={"precision": "fp64", "sync_batchnorm": True},
    )
    (tmp_path / "r.yaml").write_text(recipe.as_yaml())
    words = [train_script.__file__, str(tmp_path / "r.yaml"), "--device", "cpu", "--out", str(tmp_path / "two")]
    train(recipe, tmp_path / "one", "cpu")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    assert subprocess.run([*torchrun, *words], check=False).returncode == 0
    one, two = state_of(tmp_path / "one"), state_of(tmp_path / "two")
    assert one["student"].keys() == two["student"].keys()
    for name, weight in one["student"].items():
        torch.testing.assert_close(two["student"][name], weight, atol=1e-5, rtol=1e-5, msg=name)
    began_with = load_teacher("vit_t", 128, "cpu").image_encoder.neck[2].weight
    assert not torch.allclose(one["student"]["image_encoder.neck.2.weight"].float(), began_with, atol=1e-5)
    assert int(one["student"]["image_encoder.body.stem.conv1.bn.num_batches_tracked"]) == 3


def test_a_run_writes_what_the_library_loads_and_what_made_it(finished_run, tmp_path_factory):
    _, run = finished_run
    model = repvit_sam.load(run.path / "best.safetensors", "cpu")
    assert (model.variant, model.canvas_size) == ("repvit_m0_9", 128)
    provenance = model.checkpoint.provenance
    assert "kind: encoder" in provenance["recipe"]
    assert json.loads(provenance["data"])["stage 1"]["photos"] == 10
    assert provenance["teacher"] == "vit_t"
    assert "commit" in provenance["made_by"]
    assert str(tmp_path_factory.getbasetemp()) not in "".join(provenance.values())  # weights travel, folders do not
    assert "- photos" in provenance["recipe"]
    (line,) = run.figures()
    assert line["images"] == 16
    assert 0 < line["held_out"] < 1000
    assert list((run.path / "tensorboard").glob("events*"))


def test_a_leg_goes_on_from_half_precision_weights_alone(finished_run, tmp_path, recipe_of):
    _, first = finished_run
    student = {"variant": "repvit_m0_9", "start": str(first.path / "last.safetensors")}
    second = train(
        recipe_of({**ENCODER, "steps": 1, "learning_rate": 1e-12}, student=student), tmp_path / "second", "cpu"
    )
    before, after = (load_file(run / "last.safetensors") for run in (first.path, second.path))
    kernels = [name for name in before if name.endswith("weight") and before[name].ndim == 4]
    assert all(torch.equal(before[name], after[name]) for name in kernels)


def test_training_from_a_cache_sees_the_same_targets_as_from_the_teacher(tmp_path, recipe_of, photos_folder):
    words = ["--cache", tmp_path / "c", "--teacher", "vit_t", "--data", photos_folder, "--canvas", 128, "--limit", 8,
             "--precision", "fp32", "--device", "cpu", "--batch", 8]  # fmt: skip
    assert run_command(*words).exit_code == 0
    stage = {**ENCODER, "steps": 1}  # a second one would magnify the rounding to fp16
    data = {**recipe_of(stage).data.model_dump(), "limit": 8}
    cached = {"checkpoint": "vit_t", "cache": str(tmp_path / "c")}
    losses = [
        train(recipe_of(stage, data=data, teacher=teacher), tmp_path / name, "cpu").figures()[0]["loss"]
        for name, teacher in (("online", {"checkpoint": "vit_t"}), ("cached", cached))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    other = {"checkpoint": "small", "cache": str(tmp_path / "c")}
    with pytest.raises(CacheError, match="another teacher"):
        train(recipe_of(stage, data=data, teacher=other), tmp_path / "other", "cpu")


def test_an_sa1b_tar_with_an_incomplete_member_is_trained_on(tmp_path, recipe_of, sa1b_tar, capsys):
    data = sa1b_tar.read_bytes()
    sa1b_tar.write_bytes(data[: len(data) * 2 // 3])
    sources = {"sources": [str(sa1b_tar)], "in_memory": False}
    stage = {"kind": "masks", "steps": 2, "batch": 2, "masks": 2, "rounds": 2, "freeze_batchnorm": True}
    run = train(recipe_of(stage, data=sources), tmp_path / "run", "cpu")
    assert np.isfinite(run.figures()[0]["loss"])
    assert "left out: sa_000020.tar" in capsys.readouterr().err
    assert json.loads((run.path / "run.json").read_text())["data"]["stage 1"]["torn"] == 1


@pytest.mark.parametrize("in_memory", [True, False])
def test_photos_that_cannot_be_decoded_are_counted_and_passed_over(tmp_path, recipe_of, photos_folder, in_memory):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for path in sorted(photos_folder.glob("*.jpg"))[:4]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "bad.jpg").write_bytes(b"\xff\xd8 cut off")
    stage = {**ENCODER, "steps": 2, "batch": 4}
    recipe = recipe_of(stage, data={"sources": [str(folder)], "in_memory": in_memory})
    assert np.isfinite(train(recipe, tmp_path / "run", "cpu").figures()[0]["loss"])


def test_a_loss_that_is_not_finite_stops_before_the_weights_move(tmp_path, recipe_of, monkeypatch):
    def broken(self, batch):
        nothing = sum(p.sum() for p in self.parameters()) * float("nan")
        return {"loss": nothing}

    monkeypatch.setattr("repvit_sam.distill.stages.encoder.EncoderLosses.forward", broken)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 1 of stage 1; the batch is in"):
        train(recipe_of(ENCODER), tmp_path / "run", "cpu")
    suspect = torch.load(tmp_path / "run" / "nonfinite_batch_0.pt", weights_only=True)
    assert suspect.keys() == set(Batch._fields)
    assert suspect["canvas"].shape == (4, 3, 128, 128)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_at_the_end_of_the_step_and_the_run_continues(number, tmp_path, recipe_of, monkeypatch, capsys):
    recipe = recipe_of({**ENCODER, "steps": 3}, data={**recipe_of(ENCODER).data.model_dump(), "limit": 4})
    original = StageRun.forward_backward

    def signalled(self):
        step = original(self)
        if self.state.step == 2:
            os.kill(os.getpid(), number)
        return step

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(StageRun, "forward_backward", signalled)
        with pytest.raises(typer.Exit) as left:
            train(recipe, tmp_path / "run", "cpu")
    assert left.value.exit_code == 128 + number
    assert f"{number.name}: saved at step 2" in capsys.readouterr().err
    assert state_of(tmp_path / "run")["position"]["step"] == 2
    assert signal.getsignal(number) == before
    train(recipe, tmp_path / "run", "cpu")
    assert "continuing in stage 1 at step 2" in capsys.readouterr().err
    assert state_of(tmp_path / "run")["position"]["stage"] == 1


def test_a_folder_of_another_run_is_left_alone(finished_run, recipe_of):
    _, run = finished_run
    with pytest.raises(RecipeError, match="holds a run of another recipe"):
        train(recipe_of({**ENCODER, "steps": 3}), run.path, "cpu")


def test_a_finished_run_says_so_and_does_nothing(finished_run, capsys):
    recipe, run = finished_run
    before = (run.path / "last.safetensors").read_bytes()
    train(recipe, run.path, "cpu")
    assert "all 1 stages are done" in capsys.readouterr().err
    assert (run.path / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("stage", "parts", "words"),
    [
        ({"kind": "masks", "steps": 1}, {}, "stage 1 .masks. has no photos with masks to train on"),
        ({**ENCODER, "accumulate": 3}, {}, "batch 4 cannot be divided among 1 ranks in 3 parts"),
        (ENCODER, {"student": {"variant": "repvit_m1_1", "start": "small"}}, "student.start is a repvit_m0_9"),
        (ENCODER, {"teacher": {"checkpoint": "vit_h"}}, "works on a canvas of 1024|not on this machine"),
        (ENCODER, {"teacher": {"checkpoint": "vit_t", "cache": "nowhere"}}, "is not an embedding cache; make one"),
    ],
)
def test_what_cannot_work_is_refused_with_a_message(stage, parts, words, tmp_path, recipe_of):
    with pytest.raises(ValueError, match=words):
        train(recipe_of(stage, **parts), tmp_path / "run", "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("stage", [{**ENCODER, "steps": 2}, {"kind": "prompts", "steps": 2, "batch": 2, "prompts": 2}])
def test_bf16_follows_float32_closely(stage, tmp_path, recipe_of):
    losses = []
    for precision in ("fp32", "bf16"):
        teacher = {"checkpoint": "vit_t", "precision": precision}
        student = {"variant": "repvit_m0_9", "start": "small"}
        data = {**recipe_of(stage).data.model_dump(), "limit": 4}
        recipe = recipe_of(stage, data=data, engine={"precision": precision}, teacher=teacher, student=student)
        losses.append(train(recipe, tmp_path / precision, "cpu").figures()[0]["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
