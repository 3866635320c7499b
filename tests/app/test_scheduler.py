import threading
import time

import pytest

from repvit_sam.app.scheduler import BusyError, CancelledError, Priority, Scheduler


class Gate:
    """Keeps the worker busy until it is opened, so that a queue can form."""

    def __init__(self, scheduler):
        self.entered, self.opened = threading.Event(), threading.Event()
        self.job = scheduler.submit("gate", Priority.CLICK, self._wait)
        assert self.entered.wait(5)

    def _wait(self, job):
        self.entered.set()
        assert self.opened.wait(5)


@pytest.fixture
def scheduler():
    return Scheduler()


def test_visitors_are_served_in_turn_however_many_clicks_one_has_waiting(scheduler):
    gate, served = Gate(scheduler), []
    jobs = [scheduler.submit("a", Priority.CLICK, lambda job: served.append("a")) for _ in range(3)]
    jobs += [scheduler.submit("b", Priority.CLICK, lambda job: served.append("b"))]
    gate.opened.set()
    for job in jobs:
        job.future.result(5)
    assert served == ["a", "b", "a", "a"]


def test_only_the_newest_preview_of_a_visitor_is_computed(scheduler):
    gate, computed = Gate(scheduler), []
    old = scheduler.submit("a", Priority.HOVER, lambda job: computed.append("old"))
    new = scheduler.submit("a", Priority.HOVER, lambda job: computed.append("new"))
    gate.opened.set()
    new.future.result(5)
    assert old.future.cancelled()
    assert computed == ["new"]


def test_a_click_goes_before_a_preview_and_both_before_long_work(scheduler):
    gate, served = Gate(scheduler), []
    jobs = [
        scheduler.submit("a", priority, lambda job: served.append(job.priority))
        for priority in (Priority.LONG, Priority.HOVER, Priority.CLICK)
    ]
    gate.opened.set()
    for job in jobs:
        job.future.result(5)
    assert served == [Priority.CLICK, Priority.HOVER, Priority.LONG]


def test_long_work_lets_a_click_through_between_its_steps(scheduler):
    started, clicked = threading.Event(), threading.Event()

    def long(job):
        for step in range(1000):
            started.set()
            job.report_progress(step / 1000)
            if clicked.is_set():
                return step
            time.sleep(0.005)

    job = scheduler.submit("a", Priority.LONG, long)
    assert started.wait(5)
    scheduler.submit("b", Priority.CLICK, lambda click: clicked.set()).future.result(5)
    assert job.future.result(5) < 999
    assert 0 <= job.share < 1


def test_long_work_ends_when_it_is_cancelled(scheduler):
    started = threading.Event()

    def long(job):
        started.set()
        while True:
            job.report_progress(0.5)
            time.sleep(0.001)

    job = scheduler.submit("a", Priority.LONG, long)
    assert started.wait(5)
    scheduler.cancel(job)
    with pytest.raises(CancelledError):
        job.future.result(5)


@pytest.mark.parametrize("priority", [Priority.LONG, Priority.CLICK])
def test_work_that_is_cancelled_while_it_waits_leaves_the_line_at_once(scheduler, priority):
    gate, computed = Gate(scheduler), []
    job = scheduler.submit("a", priority, lambda job: computed.append(1))
    scheduler.cancel(job)
    assert job.future.cancelled()
    scheduler.submit("a", priority, lambda job: computed.append(2))  # there is room again
    gate.opened.set()
    scheduler.submit("b", Priority.LONG, lambda job: None).future.result(5)
    assert computed == [2]


def test_a_visitor_has_one_long_work_in_line(scheduler):
    gate = Gate(scheduler)
    scheduler.submit("a", Priority.LONG, lambda job: None)
    with pytest.raises(BusyError):
        scheduler.submit("a", Priority.LONG, lambda job: None)
    scheduler.submit("b", Priority.LONG, lambda job: None)
    gate.opened.set()


def test_long_work_that_nobody_asks_after_ends_by_itself(scheduler, monkeypatch):
    monkeypatch.setattr("repvit_sam.app.scheduler._ABANDONED_SECONDS", 0.05)

    def long(job):
        while True:
            job.report_progress(0.5)
            time.sleep(0.01)

    with pytest.raises(CancelledError):
        scheduler.submit("a", Priority.LONG, long).future.result(5)


def test_work_that_is_done_holds_nothing_of_what_it_was_made_from(scheduler):
    job = scheduler.submit("a", Priority.CLICK, lambda job, upload=bytes(10): len(upload))
    assert job.future.result(5) == 10
    assert job.compute.__closure__ is None
    assert not job.compute.__defaults__


def test_the_place_in_line_is_told(scheduler):
    gate = Gate(scheduler)
    first = scheduler.submit("a", Priority.CLICK, lambda job: None)
    second = scheduler.submit("a", Priority.CLICK, lambda job: None)
    other = scheduler.submit("b", Priority.CLICK, lambda job: None)
    assert [scheduler.jobs_ahead(job) for job in (first, second, other)] == [
        1,
        2,
        1,
    ]  # about: the other one's turn counts
    gate.opened.set()
    other.future.result(5)


def test_a_line_that_is_too_long_refuses(scheduler):
    gate = Gate(scheduler)
    for _ in range(20):
        scheduler.submit("a", Priority.CLICK, lambda job: None)
    with pytest.raises(BusyError, match="try again"):
        scheduler.submit("a", Priority.CLICK, lambda job: None)
    scheduler.submit("b", Priority.CLICK, lambda job: None)
    gate.opened.set()


def test_an_error_reaches_the_one_who_asked_and_the_next_is_served(scheduler):
    def fails(job):
        raise KeyError("no")

    with pytest.raises(KeyError):
        scheduler.submit("a", Priority.CLICK, fails).future.result(5)
    assert scheduler.submit("a", Priority.CLICK, lambda job: 7).future.result(5) == 7


def test_a_ticket_finds_its_job_until_it_is_done(scheduler):
    gate = Gate(scheduler)
    job = scheduler.submit("a", Priority.LONG, lambda job: job.state, ticket="mine")
    assert scheduler.find("mine") is job
    assert job.state == "waiting"
    gate.opened.set()
    assert job.future.result(5) == "working"
    assert job.state == "done"
    scheduler.submit("a", Priority.LONG, lambda job: None).future.result(5)  # the callbacks of the first have run
    assert scheduler.find("mine") is None
