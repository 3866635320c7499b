"""What a person sees, without a run."""

import time
from pathlib import Path

import pytest

from repvit_sam.annotate import screen
from repvit_sam.annotate.run import Outcome
from repvit_sam.annotate.screen import ConsoleScreen, show_outcome
from repvit_sam.annotate.state import State


def outcome(**fields):
    few = {
        "images": 500,
        "masks": 12_345,
        "failed": 0,
        "failures": (),
        "made_now": 500,
        "seconds": 400.0,
        "peak_mib": 900,
    }
    return Outcome(folder=Path("/out"), look_at="annotations.json", **{**few, **fields})


def test_in_a_log_there_is_a_line_a_minute(monkeypatch, capsys):
    monkeypatch.setattr(screen, "_EVERY", 0.01)
    monkeypatch.setattr(screen, "_LOG_EVERY", 0.05)
    done = iter(range(0, 10**6, 10))
    with ConsoleScreen().working(lambda: State(10**7, next(done), 3)):
        time.sleep(0.2)
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "10,000,000 images"
    assert 1 <= len(lines) <= 4
    assert all(" of 10,000,000 images, " in line and " left, 3 failed" in line for line in lines)


def test_a_run_that_goes_on_says_what_is_done(capsys):
    with ConsoleScreen().working(lambda: State(500, 128, 0)):
        pass
    assert capsys.readouterr().err == "going on: 128 of 500 images are done already\n"


def test_the_summary_names_three_reasons_and_how_many_more(capsys):
    failures = tuple((f"{name}.jpg", "the file is damaged") for name in "abc")
    show_outcome(outcome(failed=7, failures=failures))
    printed = capsys.readouterr()
    assert printed.out == "500 images, 12,345 masks -> /out/annotations.json\n"
    assert printed.err.splitlines() == [
        "failed: a.jpg: the file is damaged",
        "failed: b.jpg: the file is damaged",
        "failed: c.jpg: the file is damaged",
        "failed: 4 more",
        "500 images in 6:40, 1.25 images/s, at most 900 MiB of memory a process",
        "to look at some of them: repvit-sam annotations preview /out",
        "7 of 507 images failed; each with its reason: /out/failed.jsonl",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(7, "0:07, 71.4 images/s"), (12_300, "3:25:00, 2.44 images/min"), (187_200, "2 days 4 h, ")]
)
def test_times_and_speeds_are_read_at_a_glance(capsys, seconds, words):
    show_outcome(outcome(seconds=seconds))
    assert capsys.readouterr().err.startswith(f"500 images in {words}")
