"""Where a job is done: in this process, or in several on this machine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import active_children, parent_process
from threading import Thread
from typing import Any

import torch

from ..errors import JobError
from ..memory import keep_freed_memory
from ..processes import fresh_processes
from .job import Job, Key
from .records import Record

_WAITING = 2  # units handed to each worker: the next one is there when one is done, and a million are not in memory


def make_records(job: Job[Key], keys: Iterable[Key], workers: int = 1) -> Iterator[tuple[Key, Record]]:
    """Each key with its record and the ``seconds`` it took, as they are done.

    Args:
        workers: processes on this machine; 1 works in this one.

    Raises:
        JobError: a worker process died.
        Exception: whatever the job raises; units in progress in other workers are finished first.
    """
    return _here(job, keys) if workers == 1 else _in_processes(job, keys, workers)


def timed(work: Callable[[Key], Record], key: Key) -> Record:
    """The key's record, and the ``seconds`` that it took."""
    started = time.perf_counter()
    record = work(key)
    return {**record, "seconds": round(time.perf_counter() - started, 3)}


def _here(job: Job[Key], keys: Iterable[Key]) -> Iterator[tuple[Key, Record]]:
    keep_freed_memory()
    work = None
    for key in keys:
        work = work or job.start()
        yield key, timed(work, key)


def _in_processes(job: Job[Key], keys: Iterable[Key], workers: int) -> Iterator[tuple[Key, Record]]:
    threads = max(1, torch.get_num_threads() // workers)
    others = {child.pid for child in active_children()}
    pool = ProcessPoolExecutor(workers, fresh_processes(), _Worker.initialize, (job, threads))
    upcoming = iter(keys)
    running: dict[Future[Record], Key] = {}
    try:
        while True:
            for key in islice(upcoming, _WAITING * workers - len(running)):
                running[pool.submit(_Worker.work, key)] = key
            if not running:
                break
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()
    except BrokenProcessPool:
        raise JobError(
            "a worker process died, as it does where memory is short; "
            "give the same command with fewer --workers, and it goes on"
        ) from None
    except (KeyboardInterrupt, GeneratorExit):  # Ctrl-C, or whoever asked has failed
        for child in active_children():  # what they are at may take minutes, and is done again
            if child.pid not in others:
                child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)  # photos in progress are finished, no other is started


class _Worker:
    """The state of a worker process. It starts the job with its first photo, so that an error there is reported."""

    job: Job[Any]
    work_on: Callable[[Any], Record] | None = None

    @classmethod
    def initialize(cls, job: Job[Any], threads: int) -> None:
        Thread(target=_exit_with_parent, daemon=True).start()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
        torch.set_num_threads(threads)
        keep_freed_memory()
        cls.job = job

    @classmethod
    def work(cls, key: Any) -> Record:
        cls.work_on = cls.work_on or cls.job.start()
        return timed(cls.work_on, key)


def _exit_with_parent() -> None:
    """A killed parent cannot tell its workers; without this they would wait forever, with the model in memory."""
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)
