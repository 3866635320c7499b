import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import repvit_sam
from repvit_sam.distill import train as train_script
from repvit_sam.distill.data.embedding_cache import CacheError
from repvit_sam.distill.data.loader import Batch
from repvit_sam.distill.recipe import RecipeError
from repvit_sam.distill.teacher import load_teacher

from .data.test_sources import sa1b_tar  # noqa: F401 (a fixture)

ENCODER = {"kind": "encoder", "steps": 6, "batch": 4, "window": 64, "windows": 2, "warmup": 0.2, "learning_rate": 1e-3}


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
    original = train_script.Trainer._forward_and_backward

    def dying(self, module, stream, stage):
        if (self.position.stage, self.position.step) == step:
            raise Killed
        return original(self, module, stream, stage)

    with monkeypatch.context() as patch:
        patch.setattr(train_script.Trainer, "_forward_and_backward", dying)
        with pytest.raises(Killed):
            train_script.train(recipe, run, "cpu")


@pytest.mark.slow
def test_a_run_killed_at_any_step_ends_with_the_same_weights_bit_by_bit(tmp_path, recipe_of, monkeypatch):
    prompts = {"kind": "prompts", "steps": 2, "batch": 2, "prompts": 2, "freeze_batchnorm": True}
    prompts["embedding_weight"] = 1.0  # divided by the variance, which a resumed run must not measure anew
    recipe = recipe_of(
        {**ENCODER, "steps": 3, "accumulate": 2},
        prompts,
        engine={"save_every_minutes": 1e-6},
        data={**recipe_of(ENCODER).data.model_dump(), "limit": 10, "hold_out": 2},
    )
    whole = train_script.train(recipe, tmp_path / "whole", "cpu").path
    for step in [(0, 2), (0, 3), (1, 1), (1, 2)]:
        train_and_die(recipe, tmp_path / "killed", step, monkeypatch)
    train_script.train(recipe, tmp_path / "killed", "cpu")
    for part in ("student", "ema"):
        assert_equal_weights(state_of(tmp_path / "killed")[part], state_of(whole)[part])
    assert state_of(whole)["position"]["images"] == 3 * 4 * 2 + 2 * 2


@pytest.mark.slow
def test_two_processes_equal_one_with_the_same_global_batch(tmp_path, recipe_of):
    """In float64, where no rounding hides a mistake; AdamW, batch norms over all ranks, accumulation."""
    recipe = recipe_of(
        {**ENCODER, "steps": 3, "accumulate": 1, "batch": 4},
        engine={"precision": "fp64", "sync_batchnorm": True},
    )
    (tmp_path / "r.yaml").write_text(recipe.as_yaml())
    script = str(Path(train_script.__file__))
    words = [script, str(tmp_path / "r.yaml"), "--device", "cpu", "--out"]
    alone = subprocess.Popen(
        [sys.executable, *words, str(tmp_path / "one")], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    assert subprocess.run([*start, *words, str(tmp_path / "two")], check=False).returncode == 0
    assert alone.wait() == 0
    one, two = state_of(tmp_path / "one"), state_of(tmp_path / "two")
    assert one["student"].keys() == two["student"].keys()
    for name, weight in one["student"].items():
        torch.testing.assert_close(two["student"][name], weight, atol=1e-5, rtol=1e-5, msg=name)
    began_with = load_teacher("vit_t", 128, "cpu").image_encoder.neck[2].weight
    assert not torch.allclose(one["student"]["image_encoder.neck.2.weight"].float(), began_with, atol=1e-5)
    assert int(one["student"]["image_encoder.body.stem.conv1.bn.num_batches_tracked"]) == 3


def test_a_run_writes_what_the_library_loads_and_what_made_it(tmp_path, recipe_of):
    recipe = recipe_of({**ENCODER, "steps": 2}, data={**recipe_of(ENCODER).data.model_dump(), "hold_out": 2})
    run = train_script.train(recipe, tmp_path / "run", "cpu")
    model = repvit_sam.load(tmp_path / "run" / "best.safetensors", "cpu")
    assert (model.variant, model.canvas_size) == ("repvit_m0_9", 128)
    provenance = model.checkpoint.provenance
    assert "kind: encoder" in provenance["recipe"]
    assert json.loads(provenance["data"])["stage 1"]["photos"] == 32
    assert provenance["teacher"] == "vit_t"
    assert "commit" in provenance["made_by"]
    assert str(tmp_path.parent) not in "".join(provenance.values())  # weights travel, folders stay at home
    assert "- photos" in provenance["recipe"]
    (line,) = run.figures()
    assert line["images"] == 16
    assert 0 < line["held_out"] < 1000
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


def test_a_leg_goes_on_from_half_precision_weights_alone(tmp_path, recipe_of):
    first = train_script.train(recipe_of({**ENCODER, "steps": 1}), tmp_path / "a", "cpu")
    student = {"variant": "repvit_m0_9", "start": str(first.path / "last.safetensors")}
    train_script.train(
        recipe_of({**ENCODER, "steps": 1, "learning_rate": 1e-12}, student=student), tmp_path / "b", "cpu"
    )
    before, after = (load_file(tmp_path / run / "last.safetensors") for run in "ab")
    kernels = [name for name in before if name.endswith("weight") and before[name].ndim == 4]
    assert all(torch.equal(before[name], after[name]) for name in kernels)


def test_training_from_a_cache_sees_the_same_targets_as_from_the_teacher(tmp_path, recipe_of, photos_folder):
    from repvit_sam.distill import cache_embeddings as teacher_script

    app = teacher_script.typer.Typer()
    app.command()(teacher_script.main)
    words = ["--cache", tmp_path / "c", "--teacher", "vit_t", "--data", photos_folder, "--canvas", 128,
             "--precision", "fp32", "--device", "cpu", "--batch", 8]  # fmt: skip
    assert CliRunner().invoke(app, [str(word) for word in words]).exit_code == 0
    stage = {**ENCODER, "steps": 2}
    cached = {"checkpoint": "vit_t", "cache": str(tmp_path / "c")}
    losses = [
        train_script.train(recipe_of(stage, teacher=teacher), tmp_path / name, "cpu").figures()[0]["loss"]
        for name, teacher in (("online", {"checkpoint": "vit_t"}), ("cached", cached))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    other = {"checkpoint": "small", "cache": str(tmp_path / "c")}
    with pytest.raises(CacheError, match="another teacher"):
        train_script.train(recipe_of(stage, teacher=other), tmp_path / "other", "cpu")


def test_an_sa1b_tar_with_a_torn_member_trains_on(tmp_path, recipe_of, sa1b_tar, capsys):  # noqa: F811
    data = sa1b_tar.read_bytes()
    sa1b_tar.write_bytes(data[: len(data) * 2 // 3])
    sources = {"sources": [str(sa1b_tar)], "in_memory": False}
    stage = {"kind": "masks", "steps": 2, "batch": 2, "masks": 2, "rounds": 2, "freeze_batchnorm": True}
    run = train_script.train(recipe_of(stage, data=sources), tmp_path / "run", "cpu")
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
    assert np.isfinite(train_script.train(recipe, tmp_path / "run", "cpu").figures()[0]["loss"])


def test_a_loss_that_is_not_finite_stops_before_the_weights_move(tmp_path, recipe_of, monkeypatch):
    def broken(self, batch):
        nothing = sum(p.sum() for p in self.parameters()) * float("nan")
        return {"loss": nothing}

    monkeypatch.setattr("repvit_sam.distill.stages.encoder.EncoderLosses.forward", broken)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 1 of stage 1; the batch is in"):
        train_script.train(recipe_of(ENCODER), tmp_path / "run", "cpu")
    suspect = torch.load(tmp_path / "run" / "nonfinite_batch_0.pt", weights_only=True)
    assert suspect.keys() == set(Batch._fields)
    assert suspect["canvas"].shape == (4, 3, 128, 128)


@pytest.mark.slow
def test_sigterm_saves_and_the_same_command_goes_on(tmp_path, recipe_of):
    (tmp_path / "r.yaml").write_text(recipe_of({**ENCODER, "steps": 5000}).as_yaml())
    words = [sys.executable, str(Path(train_script.__file__)), str(tmp_path / "r.yaml"), "--out", str(tmp_path / "run"),
             "--device", "cpu"]  # fmt: skip
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "run").glob("tensorboard/events*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "SIGTERM: saved at step" in said
    assert state_of(tmp_path / "run")["position"]["step"] > 0


def test_a_folder_of_another_run_is_left_alone(tmp_path, recipe_of):
    train_script.train(recipe_of({**ENCODER, "steps": 1}), tmp_path / "run", "cpu")
    with pytest.raises(RecipeError, match="holds a run of another recipe"):
        train_script.train(recipe_of({**ENCODER, "steps": 2}), tmp_path / "run", "cpu")


def test_a_finished_run_says_so_and_does_nothing(tmp_path, recipe_of, capsys):
    recipe = recipe_of({**ENCODER, "steps": 1})
    train_script.train(recipe, tmp_path / "run", "cpu")
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    train_script.train(recipe, tmp_path / "run", "cpu")
    assert "all 1 stages are done" in capsys.readouterr().err
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("stage", "parts", "words"),
    [
        ({"kind": "masks", "steps": 1}, {}, "stage 1 .masks. has no photos with masks to train on"),
        ({**ENCODER, "accumulate": 3}, {}, "batch 4 cannot be dealt out to 1 ranks in 3 parts"),
        (ENCODER, {"student": {"variant": "repvit_m1_1", "start": "small"}}, "student.start is a repvit_m0_9"),
        (ENCODER, {"teacher": {"checkpoint": "vit_h"}}, "works on a canvas of 1024|not on this machine"),
        (ENCODER, {"teacher": {"checkpoint": "vit_t", "cache": "nowhere"}}, "is no embedding cache; make one"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(stage, parts, words, tmp_path, recipe_of):
    with pytest.raises(ValueError, match=words):
        train_script.train(recipe_of(stage, **parts), tmp_path / "run", "cpu")


@pytest.mark.slow
def test_the_smoke_recipe_goes_all_the_way(tmp_path, photos_folder, formula_photo):
    """Both stages and the table, shortened; docs/training.md has the figures of the whole."""
    from ..eval.test_clicks import disc_folder

    folder = disc_folder(tmp_path / "coco", formula_photo)
    app = train_script.typer.Typer()
    app.command()(train_script.main)
    words = ["smoke", "--out", tmp_path / "run", "--set", f"data.sources=[{photos_folder}]", "--set",
             f"validation.folder={folder}", "--set", "canvas=256", "--set", "stages.0.batch=2", "--minutes", 0.2,
             "--limit", 12, "--set", "data.hold_out=2", "--device", "cpu"]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    for word in ("teacher", "1 encoder", "2 prompts", "agreement"):
        assert word in result.stdout
    again = CliRunner().invoke(app, [str(word) for word in [*words, "--set", "canvas=100"]])
    assert again.exit_code == 1
    assert "canvas" in again.stderr


@pytest.mark.parametrize("stage", [{**ENCODER, "steps": 2}, {"kind": "prompts", "steps": 2, "batch": 2, "prompts": 2}])
def test_bf16_follows_float32_closely(stage, tmp_path, recipe_of):
    losses = []
    for precision in ("fp32", "bf16"):
        teacher = {"checkpoint": "vit_t", "precision": precision}
        student = {"variant": "repvit_m0_9", "start": "small"}
        recipe = recipe_of(stage, engine={"precision": precision}, teacher=teacher, student=student)
        losses.append(train_script.train(recipe, tmp_path / precision, "cpu").figures()[0]["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
