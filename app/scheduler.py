"""One worker thread for the model: visitors are served in turn, previews last, long jobs in between.

Gradio's own queue serves events in the order they come. Here a visitor with forty clicks waiting does not hold up the
others, an outdated preview is never computed, and everything mode lets clicks through between its batches.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")

_MAX_WAITING = 200
_MAX_CLICKS_PER_VISITOR = 20
_MAX_LONG_PER_VISITOR = 1
_ABANDONED_SECONDS = 180  # a hidden tab still polls once a minute; a closed one does not


class BusyError(RuntimeError):
    """Too many jobs are waiting already."""


class CancelledError(RuntimeError):
    """The visitor cancelled the job, or left."""


class Priority(Enum):
    """Clicks come first, then previews, then long jobs, then what is done ahead."""

    CLICK = "click"  # whatever a person waits for: a click's masks, a photo to encode
    HOVER = "hover"  # a preview: only the newest of each visitor counts
    LONG = "long"  # seconds and more; calls ``Job.report_progress`` often
    AHEAD = "ahead"  # what may be wanted next; when nothing else waits. Only the newest of each visitor counts


@dataclass(eq=False)
class Job(Generic[T]):
    """One computation, its result to come, and how far it is."""

    visitor: str
    priority: Priority
    compute: Callable[[Job[T]], T]
    scheduler: Scheduler
    future: Future[T] = field(default_factory=Future)
    share: float | None = None  # done, 0 to 1; None before the first report
    cancelled: bool = False
    last_polled: float = field(default_factory=time.monotonic)

    @property
    def state(self) -> Literal["waiting", "working", "done"]:
        return "done" if self.future.done() else "working" if self.future.running() else "waiting"

    def report_progress(self, share: float) -> None:
        """Say how much is done, and let clicks and previews be served first.

        Raises:
            CancelledError: somebody called ``cancel``, or nobody has polled for a while.
        """
        self.share = share
        self.scheduler.run_short_jobs()
        if self.cancelled or time.monotonic() - self.last_polled > _ABANDONED_SECONDS:
            raise CancelledError


class Scheduler:
    """Jobs that wait for the model, and the thread that runs them."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._clicks: OrderedDict[str, deque[Job[Any]]] = OrderedDict()  # the first visitor is next
        self._hovers: OrderedDict[str, Job[Any]] = OrderedDict()
        self._long: deque[Job[Any]] = deque()
        self._ahead: OrderedDict[str, Job[Any]] = OrderedDict()
        self._tickets: dict[str, Job[Any]] = {}  # of jobs that wait or run; so never more than _MAX_WAITING + 1
        threading.Thread(target=self._serve, name="scheduler", daemon=True).start()

    def submit(self, visitor: str, priority: Priority, compute: Callable[[Job[T]], T], ticket: str = "") -> Job[T]:
        """Queue a job. Its ``future`` brings the result; one that a newer one replaces is cancelled.

        Args:
            ticket: a name under which ``find`` gives the job until it is done.

        Raises:
            BusyError: this visitor, or all together, have too many jobs waiting.
        """
        job = Job(visitor, priority, compute, self)
        with self._change:
            self._refuse_if_full(visitor, priority)
            if priority in (Priority.HOVER, Priority.AHEAD):
                waiting = self._hovers if priority is Priority.HOVER else self._ahead
                outdated = waiting.pop(visitor, None)
                if outdated:
                    outdated.future.cancel()
                waiting[visitor] = job
            elif priority is Priority.LONG:
                self._long.append(job)
            else:
                self._clicks.setdefault(visitor, deque()).append(job)
            self._change.notify()
        if ticket:
            self._tickets[ticket] = job
            job.future.add_done_callback(lambda _: self._tickets.pop(ticket, None))
        return job

    def find(self, ticket: str) -> Job[Any] | None:
        """The job with this ticket, while it waits or runs."""
        return self._tickets.get(ticket)

    def cancel(self, job: Job[Any]) -> None:
        """Take a job out of the queue, or end it at its next progress report."""
        job.cancelled = True
        with self._change:
            waiting = self._long if job.priority is Priority.LONG else self._clicks.get(job.visitor, deque())
            if job not in waiting:
                return
            waiting.remove(job)
            if not self._clicks.get(job.visitor, True):
                del self._clicks[job.visitor]
        job.future.cancel()

    def jobs_ahead(self, job: Job[Any]) -> int:
        """About how many jobs will be run before this one."""
        with self._change:
            if job.priority is Priority.LONG:
                return self._long.index(job) if job in self._long else 0
            own = self._clicks.get(job.visitor, deque())
            if job not in own:
                return 0
            position = own.index(job)
            others = (
                min(len(queue), position + 1) for visitor, queue in self._clicks.items() if visitor != job.visitor
            )
            return position + sum(others)

    def run_short_jobs(self) -> None:
        """Run all clicks and previews that wait; called on the worker thread from within a long job."""
        while (job := self._locked_next_short()) is not None:
            _run(job)

    def _serve(self) -> None:
        while True:
            with self._change:
                job = self._next_short() or self._next_other()
                if job is None:
                    self._change.wait()
                    continue
            _run(job)

    def _locked_next_short(self) -> Job[Any] | None:
        with self._change:
            return self._next_short()

    def _next_short(self) -> Job[Any] | None:
        if self._clicks:
            visitor, waiting = self._clicks.popitem(last=False)
            job = waiting.popleft()
            if waiting:
                self._clicks[visitor] = waiting  # behind the other visitors
            return job
        return self._hovers.popitem(last=False)[1] if self._hovers else None

    def _next_other(self) -> Job[Any] | None:
        if self._long:
            return self._long.popleft()
        return self._ahead.popitem(last=False)[1] if self._ahead else None

    def _refuse_if_full(self, visitor: str, priority: Priority) -> None:
        if priority is Priority.LONG:
            full = sum(job.visitor == visitor for job in self._long) >= _MAX_LONG_PER_VISITOR
        else:
            full = len(self._clicks.get(visitor, ())) >= _MAX_CLICKS_PER_VISITOR
        waiting = sum(map(len, self._clicks.values())) + len(self._hovers) + len(self._long) + len(self._ahead)
        if full or waiting >= _MAX_WAITING:
            raise BusyError("too many requests are waiting; try again in a moment")


def _run(job: Job[Any]) -> None:
    if not job.future.set_running_or_notify_cancel():
        return  # cancelled; from here on nobody can
    compute, job.compute = job.compute, _already_run  # so that a finished job keeps no upload in memory
    try:
        job.future.set_result(compute(job))
    except Exception as error:
        job.future.set_exception(error)


def _already_run(job: Job[Any]) -> Any:
    raise AssertionError("a job is run once")
