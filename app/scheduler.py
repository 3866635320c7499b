"""Who is served next: one worker for the model, visitors in turn, hover previews last, long work in between.

Gradio's own queue serves events first come, first served; here a visitor with forty clicks waiting does not keep the
others waiting, a preview that is out of date is never computed, and everything mode lets clicks through between its
batches.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_MOST_WAITING = 200
_MOST_OF_ONE = 20
_MOST_LONG_OF_ONE = 1
_FORGOTTEN_SECONDS = 180  # a hidden tab still asks once a minute; a closed one does not


class BusyError(RuntimeError):
    """Too much is waiting already."""


class CancelledError(RuntimeError):
    """The visitor wants it no more."""


class Kind(Enum):
    """What a piece of work is to the person who waits for it."""

    CLICK = "click"  # a click's masks, a photo to encode, a file to take away
    HOVER = "hover"  # a preview: only the newest of each visitor counts
    LONG = "long"  # seconds and more; calls ``Work.step`` often


@dataclass(eq=False)
class Work(Generic[T]):
    """One thing to compute, and how far it is."""

    visitor: str
    kind: Kind
    compute: Callable[[Work[T]], T]
    turns: Turns
    future: Future[T] = field(default_factory=Future)
    share: float | None = None
    cancelled: bool = False
    asked_after: float = field(default_factory=time.monotonic)

    def step(self, share: float) -> None:
        """Say how much is done, and let those go first who only want a click's mask.

        Raises:
            CancelledError: somebody called ``cancel``, or nobody asks how far it is any more.
        """
        self.share = share
        self.turns.serve_clicks()
        if self.cancelled or time.monotonic() - self.asked_after > _FORGOTTEN_SECONDS:
            raise CancelledError


class Turns:
    """Work waiting for the model, and the thread that does it."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._clicks: OrderedDict[str, deque[Work[Any]]] = OrderedDict()  # the first visitor is next
        self._hovers: OrderedDict[str, Work[Any]] = OrderedDict()
        self._long: deque[Work[Any]] = deque()
        threading.Thread(target=self._serve, name="turns", daemon=True).start()

    def ask(self, visitor: str, kind: Kind, compute: Callable[[Work[T]], T]) -> Work[T]:
        """Put work in line. Its ``future`` brings the result; a hover that a newer one replaces is cancelled.

        Raises:
            BusyError: this visitor, or all together, have too much waiting.
        """
        work = Work(visitor, kind, compute, self)
        with self._change:
            mine = len(self._clicks.get(visitor, ()))
            mine_long = sum(other.visitor == visitor for other in self._long)
            full = mine_long >= _MOST_LONG_OF_ONE if kind is Kind.LONG else mine >= _MOST_OF_ONE
            if full or self._count() >= _MOST_WAITING:
                raise BusyError("too many requests are waiting; try again in a moment")
            if kind is Kind.HOVER:
                outdated = self._hovers.pop(visitor, None)
                if outdated:
                    outdated.future.cancel()
                self._hovers[visitor] = work
            elif kind is Kind.LONG:
                self._long.append(work)
            else:
                self._clicks.setdefault(visitor, deque()).append(work)
            self._change.notify()
        return work

    def cancel(self, work: Work[Any]) -> None:
        """Take work out of line, or have it end at its next step."""
        work.cancelled = True
        with self._change:
            waiting = self._long if work.kind is Kind.LONG else self._clicks.get(work.visitor, deque())
            if work not in waiting:
                return
            waiting.remove(work)
            if not self._clicks.get(work.visitor, True):
                del self._clicks[work.visitor]
        work.future.cancel()

    def ahead_of(self, work: Work[Any]) -> int:
        """How many will be served before this one, about."""
        with self._change:
            if work.kind is Kind.LONG:
                return self._long.index(work) if work in self._long else 0
            mine = self._clicks.get(work.visitor, deque())
            place = mine.index(work) if work in mine else 0
            others = (min(len(theirs), place + 1) for who, theirs in self._clicks.items() if who != work.visitor)
            return place + sum(others) if work in mine else 0

    def serve_clicks(self) -> None:
        """Serve whoever waits for something short; called by the worker from within long work."""
        while (work := self._locked_next_short()) is not None:
            _do(work)

    def _serve(self) -> None:
        while True:
            with self._change:
                work = self._next_short() or (self._long.popleft() if self._long else None)
                if work is None:
                    self._change.wait()
                    continue
            _do(work)

    def _locked_next_short(self) -> Work[Any] | None:
        with self._change:
            return self._next_short()

    def _next_short(self) -> Work[Any] | None:
        if self._clicks:
            visitor, waiting = self._clicks.popitem(last=False)
            work = waiting.popleft()
            if waiting:
                self._clicks[visitor] = waiting  # to the end of the line
            return work
        return self._hovers.popitem(last=False)[1] if self._hovers else None

    def _count(self) -> int:
        return sum(map(len, self._clicks.values())) + len(self._hovers) + len(self._long)


def _do(work: Work[Any]) -> None:
    if not work.future.set_running_or_notify_cancel():
        return  # cancelled; from here on nobody can
    compute, work.compute = work.compute, _done  # what it holds, an upload perhaps, is not kept with its ticket
    try:
        work.future.set_result(compute(work))
    except Exception as error:
        work.future.set_exception(error)


def _done(work: Work[Any]) -> Any:
    raise AssertionError("work is done once")
