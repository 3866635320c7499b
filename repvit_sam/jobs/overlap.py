"""Work on many photos in three steps that overlap: the next is read while this one computes and the last is written.

Pillow and NumPy let other threads run while they decode, resize and compress. The threads are daemons, which
``concurrent.futures`` does not offer: Ctrl-C ends the command at once instead of after the largest picture.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Computed = TypeVar("Computed")
Written = TypeVar("Written")

_Calls = queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]

AHEAD = 2  # photos read ahead, and results waiting to be written: bounds the memory to five photos


def overlapped(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    compute: Callable[[Item, Read], Computed],
    write: Callable[[Item, Computed], Written],
    expected: tuple[type[Exception], ...],
    threads: OverlapThreads | None = None,
) -> Generator[tuple[Item, Written | Exception], None, None]:
    """Do all three steps for every item and yield the results in the order of the items.

    Args:
        read, write: each called in a thread of its own, one item at a time.
        compute: called in this thread.
        expected: errors that are yielded in place of the item's result, while the others go on.
        threads: for whoever calls this often; None starts two, and ends them.

    Raises:
        any other error of a step, at its item's turn; then nothing more is started.
    """
    both = threads or OverlapThreads()
    reader, writer = both.reader, both.writer
    upcoming = iter(items)
    reading: deque[tuple[Item, Future[Any]]] = deque(
        (item, reader.submit(read, item)) for item in islice(upcoming, AHEAD)
    )
    writing: deque[tuple[Item, Future[Any]]] = deque()
    try:
        while reading or writing:
            if reading:
                item, ready = reading.popleft()
                reading.extend((later, reader.submit(read, later)) for later in islice(upcoming, 1))
                try:
                    writing.append((item, writer.submit(write, item, compute(item, ready.result()))))
                except Exception as error:  # raised or yielded below, after the results before it
                    writing.append((item, _failed(error)))
                    if not isinstance(error, expected):
                        upcoming = iter(())
                        while reading:
                            reading.pop()[1].cancel()
            while writing and (len(writing) > AHEAD or writing[0][1].done() or not reading):
                item, done = writing.popleft()
                try:
                    yield item, done.result()
                except expected as error:
                    yield item, error
    finally:
        for _, waiting in (*reading, *writing):
            waiting.cancel()
        if threads is None:
            both.close()


class OverlapThreads:
    """The thread that reads and the one that writes, for many calls of ``overlapped``, one after another.

    glibc gives a new thread the next of its heaps where a process has many threads, as one of Ray has, and each heap
    keeps what it once held for the largest photos. With two new threads for every 32 photos a worker grows for hours.
    They end when this object is gone.
    """

    def __init__(self) -> None:
        self.reader, self.writer = _Thread("read"), _Thread("write")

    def close(self) -> None:
        """End both after the calls that are not cancelled."""
        self.reader.close()
        self.writer.close()


def _failed(error: Exception) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


class _Thread:
    """A daemon thread that makes calls one after another."""

    def __init__(self, name: str) -> None:
        self._calls: _Calls = queue.SimpleQueue()
        threading.Thread(target=_make_calls, args=(self._calls,), name=name, daemon=True).start()
        self._end = weakref.finalize(self, self._calls.put, None)

    def submit(self, work: Callable[..., Written], *arguments: Any) -> Future[Written]:
        """Call ``work`` after the calls before it."""
        future: Future[Written] = Future()
        self._calls.put((future, lambda: work(*arguments)))
        return future

    def close(self) -> None:
        """End the thread after the calls that are not cancelled."""
        self._end()


def _make_calls(calls: _Calls) -> None:
    """Until there is None in place of a call. It knows the queue alone, so that its ``_Thread`` can be gone."""
    while (call := calls.get()) is not None:
        future, work = call
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
        del call, future, work  # they hold a photo
