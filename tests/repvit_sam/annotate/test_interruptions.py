"""Runs that are killed, stopped, or find the disk full, and go on.

``KILLS=20 pytest tests/repvit_sam/annotate/test_interruptions.py`` kills twenty runs; by default three are.
"""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from repvit_sam.processes import fresh_processes

from ...processes import Command
from .conftest import EVERYTHING, files_of, run, save_photo

KILLS = int(os.environ.get("KILLS", "3"))
IMAGES = 16


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Sixteen small photographs, and two that are none."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(IMAGES):
        save_photo(folder / f"{number:02d}.png", ("coffee", "rocket")[number % 2], (40 + number, 40))
    for name in ("05b.png", "11b.png"):
        (folder / name).write_bytes(b"no photo")
    return folder


@pytest.fixture(scope="module")
def whole(many, tmp_path_factory, light_model):
    """The results of a run that nothing stopped, and how long it took."""
    out = tmp_path_factory.mktemp("whole") / "out"
    started = time.monotonic()
    run(many, out, light_model)
    return files_of(out), time.monotonic() - started


def killed_run(many, out, light_model, seconds, form="coco"):
    """A run in a process of its own, killed so many seconds after its first shard was begun."""
    process = fresh_processes().Process(target=run, args=(many, out, light_model), kwargs={"form": form})
    process.start()
    while process.is_alive() and not (out / "manifest" / "staging").is_dir():
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()
    process.join()


def shards_of(out):
    path = out / "manifest" / "records-0.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return Counter(json.loads(line)["key"] for line in lines if line.endswith(b"}}"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(KILLS))
def test_a_run_that_is_killed_at_any_moment_goes_on_and_nothing_is_lost_or_twice(
    many, whole, tmp_path, light_model, seed, record_property
):
    expected, took = whole
    moments = random.Random(seed)
    for _ in range(moments.choice((1, 2))):
        killed_run(many, tmp_path / "out", light_model, moments.uniform(0, took))
        record_property("shards_made_when_killed", len(shards_of(tmp_path / "out")))  # --junitxml shows them
    outcome = run(many, tmp_path / "out", light_model)
    assert files_of(tmp_path / "out") == expected
    assert (outcome.images, outcome.failed) == (IMAGES, 2)
    shards = shards_of(tmp_path / "out")
    assert len(shards) == (IMAGES + 2) / 2
    assert set(shards.values()) == {1}
    assert not (tmp_path / "out" / "manifest" / "staging").exists()


@pytest.mark.slow
def test_a_killed_run_with_a_file_for_each_image_leaves_no_other_file(many, tmp_path, light_model, whole):
    run(many, tmp_path / "whole", light_model, form="png")
    killed_run(many, tmp_path / "out", light_model, whole[1] / 2, form="png")
    run(many, tmp_path / "out", light_model, form="png")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


def words_of(source, out, light_checkpoint, *more):
    words = ["annotate", source, "--out", out, "--checkpoint", light_checkpoint, "--engine", "torch", "--shard-size", 2]
    grid = ["--points-per-side", 2, "--pred-iou", 0.1, "--stability", 0.1]
    return [*words, *grid, *more]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_stops_soon_and_says_that_the_same_command_goes_on(many, whole, tmp_path, light_checkpoint, workers):
    out = tmp_path / "out"
    words = words_of(many, out, light_checkpoint, "--workers", workers)
    command = [sys.executable, "-m", "repvit_sam.cli", *map(str, words)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while process.poll() is None and not (out / "manifest" / "records-0.jsonl").exists():
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all processes of the command
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "stopped; the same command goes on where it stopped"
    assert "Traceback" not in said
    code, printed, said = Command(*words).result()
    assert code == 0
    assert "going on: " in said
    assert printed == f"{IMAGES} images, {masks_in(whole[0])} masks -> {out}/annotations.json\n"
    assert files_of(out) == whole[0]


def masks_in(files):
    return json.loads(files["dataset.json"])["masks"]


def test_a_second_ctrl_c_ends_at_once():
    code = (
        "import time\nfrom repvit_sam.cli.annotate import _interrupts\n"
        "with _interrupts():\n    try:\n        print('ready', flush=True)\n        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n        print('stopping', flush=True)\n        time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for word in ("ready", "stopping"):
        assert process.stdout.readline() == f"{word}\n"
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == -signal.SIGINT


def no_large_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))


@pytest.mark.slow
def test_a_disk_that_takes_no_more_ends_the_command_in_one_sentence(many, whole, tmp_path, light_checkpoint):
    """Files may have 12 kB: shards have less, the merged file has more."""
    out = tmp_path / "out"
    words = words_of(many, out, light_checkpoint, "--workers", 1)
    assert max(map(len, whole[0].values())) > 12_000
    code, _, said = Command(*words, before=no_large_files).result()
    assert code == 1
    assert said.splitlines()[-1].endswith(
        "cannot be written: File too large; make room or give the right to write, "
        "and the same command goes on where it stopped"
    )
    assert said.splitlines()[-1].startswith("Error: ")
    assert Command(*words).result()[0] == 0
    assert files_of(out) == whole[0]


def test_runs_are_the_same_whatever_the_clock_says(many, tmp_path, light_model, monkeypatch):
    """A clock that jumps back an hour with every look at it."""
    looks = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: 2e9 - 3600 * next(looks))
    outcome = run(many, tmp_path / "out", light_model, limit=2)
    assert outcome.images == 2
    assert 0 < outcome.seconds < 60


def test_the_settings_of_these_runs_find_masks(whole):
    assert masks_in(whole[0]) > IMAGES, EVERYTHING
    assert Path("annotations.json").name in whole[0]
