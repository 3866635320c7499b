"""Work on many photos in three steps that overlap: the next is read while this one computes and the last is written.

Pillow and NumPy let other threads run while they decode, resize and compress. The threads are daemons, which
``concurrent.futures`` does not offer: Ctrl-C ends the command at once instead of after the largest picture.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Computed = TypeVar("Computed")
Written = TypeVar("Written")

AHEAD = 2  # photos read ahead, and results waiting to be written: bounds the memory to five photos


def overlapped(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    compute: Callable[[Item, Read], Computed],
    write: Callable[[Item, Computed], Written],
    expected: tuple[type[Exception], ...],
) -> Generator[tuple[Item, Written | Exception], None, None]:
    """Do all three steps for every item and yield the results in the order of the items.

    Args:
        read, write: each called in a thread of its own, one item at a time.
        compute: called in this thread.
        expected: errors that are yielded in place of the item's result, while the others go on.

    Raises:
        any other error of a step, at its item's turn; then nothing more is started.
    """
    reader, writer = _Thread("read"), _Thread("write")
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
        reader.close()
        writer.close()


def _failed(error: Exception) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


class _Thread:
    """A daemon thread that makes calls one after another."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, work: Callable[..., Written], *arguments: Any) -> Future[Written]:
        """Call ``work`` after the calls before it."""
        future: Future[Written] = Future()
        self._calls.put((future, lambda: work(*arguments)))
        return future

    def close(self) -> None:
        """End the thread after the calls that are not cancelled."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            future, work = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)
            del call, future, work  # they hold a photo
