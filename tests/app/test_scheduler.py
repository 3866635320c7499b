import threading
import time

import pytest

from repvit_sam.app.scheduler import BusyError, CancelledError, Kind, Turns


class Gate:
    """Keeps the worker busy until it is opened, so that a line can form."""

    def __init__(self, turns):
        self.entered, self.opened = threading.Event(), threading.Event()
        self.work = turns.ask("gate", Kind.CLICK, self._wait)
        assert self.entered.wait(5)

    def _wait(self, work):
        self.entered.set()
        assert self.opened.wait(5)


@pytest.fixture
def turns():
    return Turns()


def test_visitors_are_served_in_turn_however_many_clicks_one_has_waiting(turns):
    gate, served = Gate(turns), []
    works = [turns.ask("a", Kind.CLICK, lambda work: served.append("a")) for _ in range(3)]
    works += [turns.ask("b", Kind.CLICK, lambda work: served.append("b"))]
    gate.opened.set()
    for work in works:
        work.future.result(5)
    assert served == ["a", "b", "a", "a"]


def test_only_the_newest_preview_of_a_visitor_is_computed(turns):
    gate, computed = Gate(turns), []
    old = turns.ask("a", Kind.HOVER, lambda work: computed.append("old"))
    new = turns.ask("a", Kind.HOVER, lambda work: computed.append("new"))
    gate.opened.set()
    new.future.result(5)
    assert old.future.cancelled()
    assert computed == ["new"]


def test_a_click_goes_before_a_preview_and_both_before_long_work(turns):
    gate, served = Gate(turns), []
    works = [
        turns.ask("a", kind, lambda work: served.append(work.kind)) for kind in (Kind.LONG, Kind.HOVER, Kind.CLICK)
    ]
    gate.opened.set()
    for work in works:
        work.future.result(5)
    assert served == [Kind.CLICK, Kind.HOVER, Kind.LONG]


def test_long_work_lets_a_click_through_between_its_steps(turns):
    started, clicked = threading.Event(), threading.Event()

    def long(work):
        for step in range(1000):
            started.set()
            work.step(step / 1000)
            if clicked.is_set():
                return step
            time.sleep(0.005)

    work = turns.ask("a", Kind.LONG, long)
    assert started.wait(5)
    turns.ask("b", Kind.CLICK, lambda click: clicked.set()).future.result(5)
    assert work.future.result(5) < 999
    assert 0 <= work.share < 1


def test_long_work_ends_when_it_is_cancelled(turns):
    started = threading.Event()

    def long(work):
        started.set()
        while True:
            work.step(0.5)
            time.sleep(0.001)

    work = turns.ask("a", Kind.LONG, long)
    assert started.wait(5)
    turns.cancel(work)
    with pytest.raises(CancelledError):
        work.future.result(5)


@pytest.mark.parametrize("kind", [Kind.LONG, Kind.CLICK])
def test_work_that_is_cancelled_while_it_waits_leaves_the_line_at_once(turns, kind):
    gate, computed = Gate(turns), []
    work = turns.ask("a", kind, lambda work: computed.append(1))
    turns.cancel(work)
    assert work.future.cancelled()
    turns.ask("a", kind, lambda work: computed.append(2))  # there is room again
    gate.opened.set()
    turns.ask("b", Kind.LONG, lambda work: None).future.result(5)
    assert computed == [2]


def test_a_visitor_has_one_long_work_in_line(turns):
    gate = Gate(turns)
    turns.ask("a", Kind.LONG, lambda work: None)
    with pytest.raises(BusyError):
        turns.ask("a", Kind.LONG, lambda work: None)
    turns.ask("b", Kind.LONG, lambda work: None)
    gate.opened.set()


def test_long_work_that_nobody_asks_after_ends_by_itself(turns, monkeypatch):
    monkeypatch.setattr("repvit_sam.app.scheduler._FORGOTTEN_SECONDS", 0.05)

    def long(work):
        while True:
            work.step(0.5)
            time.sleep(0.01)

    with pytest.raises(CancelledError):
        turns.ask("a", Kind.LONG, long).future.result(5)


def test_work_that_is_done_holds_nothing_of_what_it_was_made_from(turns):
    work = turns.ask("a", Kind.CLICK, lambda work, upload=bytes(10): len(upload))
    assert work.future.result(5) == 10
    assert work.compute.__closure__ is None
    assert not work.compute.__defaults__


def test_the_place_in_line_is_told(turns):
    gate = Gate(turns)
    first = turns.ask("a", Kind.CLICK, lambda work: None)
    second = turns.ask("a", Kind.CLICK, lambda work: None)
    other = turns.ask("b", Kind.CLICK, lambda work: None)
    assert [turns.ahead_of(work) for work in (first, second, other)] == [1, 2, 1]  # about: the other one's turn counts
    gate.opened.set()
    other.future.result(5)


def test_a_line_that_is_too_long_refuses(turns):
    gate = Gate(turns)
    for _ in range(20):
        turns.ask("a", Kind.CLICK, lambda work: None)
    with pytest.raises(BusyError, match="try again"):
        turns.ask("a", Kind.CLICK, lambda work: None)
    turns.ask("b", Kind.CLICK, lambda work: None)
    gate.opened.set()


def test_an_error_reaches_the_one_who_asked_and_the_next_is_served(turns):
    def fails(work):
        raise KeyError("no")

    with pytest.raises(KeyError):
        turns.ask("a", Kind.CLICK, fails).future.result(5)
    assert turns.ask("a", Kind.CLICK, lambda work: 7).future.result(5) == 7
