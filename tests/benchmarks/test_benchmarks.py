import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


def lines_of(script, *words):
    command = [sys.executable, str(SCRIPTS / script), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_encoder_is_timed_in_three_forms():
    title, *rows = lines_of("encoder.py", "--variant", "repvit_m0_9", "--canvas", "128", "--rounds", "1")
    assert "canvas 128" in title
    assert len(rows) == 3
    assert rows[0].split()[-1] == "1.00"


def test_what_a_person_waits_for_is_timed():
    title, *rows = lines_of("click.py", "--rounds", "1")
    assert "600x400 photo" in title
    assert [row.split()[-1] for row in rows] == ["ms"] * 4


def test_caching_and_training_are_set_against_the_machines_limit():
    words = ["--teacher", "vit_t", "--student", "repvit_m0_9", "--canvas", "128", "--batch", "1", "--side", "256"]
    title, *rows = lines_of("training.py", *words, "--rounds", "1", "--device", "cpu")
    assert "TFLOP/s of matrices" in title
    assert [row.split()[0] for row in rows] == ["caching", "training"]
    assert all("img/s of at most" in row for row in rows)
