import pytest

from repvit_sam.distill.run.schedule import StageSchedule, learning_rate_at


def test_the_rate_rises_straight_and_falls_as_a_cosine():
    rates = [learning_rate_at(progress, 1.0, 0.1, 0.2) for progress in (0, 0.1, 0.2, 0.6, 1.0, 1.5)]
    assert rates == pytest.approx([0, 0.5, 1, 0.55, 0.1, 0.1])


def test_steps_or_seconds_end_a_stage(monkeypatch):
    assert StageSchedule(10, None).progress(5) == 0.5
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    schedule = StageSchedule(None, 60, seconds_before=15)
    now = 115.0
    assert schedule.progress(1) == 0.5
