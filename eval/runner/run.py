"""Every photo once: in this process, in several, or under torchrun; with a bar, and on from where a run was stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import torch

from repvit_sam.console import progress_bar

from .records import Record, RecordFolder


class Job(Protocol):
    """What a program does with its photos. Frozen and picklable: every worker process gets a copy."""

    @property
    def keys(self) -> Sequence[str]:
        """The photos, each once, in the order in which results are given."""

    def start(self) -> Callable[[str], Record]:
        """Load what is heavy; what it returns makes the record of one photo. Called once in each process."""


def run(job: Job, out: Path | None, settings: dict[str, Any], workers: int = 1, unit: str = "photos") -> list[Record]:
    """The record of every photo, in the order of ``job.keys``.

    Args:
        out: where records are kept as they are made; records that are there already are taken. None keeps nothing.
        settings: everything that decides the records (``RecordFolder``).
        workers: processes on this machine. Under torchrun (several ranks, which need ``out``) it must stay 1.
        unit: what the keys stand for, where it is not photos: for the bar.

    Returns:
        The records, each with the ``seconds`` it took; on a rank other than 0 an empty list, once its share is done.

    Raises:
        ValueError: settings that do not fit ``out``, or each other; whatever the job raises.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if workers < 1:
        raise ValueError(f"--workers must be at least 1, got {workers}")
    if world > 1 and (workers > 1 or out is None):
        raise ValueError("under torchrun the ranks are the workers: leave --workers at 1, and give --out")
    keys = list(job.keys)
    if len(set(keys)) != len(keys):
        raise ValueError("a photo is listed twice; each counts once")
    folder = RecordFolder(out, settings, rank) if out else None
    records = folder.known() if folder else {}
    mine = [key for key in keys[rank::world] if key not in records]
    with progress_bar() as bar:
        task = bar.add_task(unit, total=len(keys), completed=len(records.keys() & set(keys)), visible=rank == 0)
        for key, record in _work(job, mine, workers):
            records[key] = record
            if folder:
                folder.append(key, record)
            bar.update(task, completed=len(records.keys() & set(keys)))
        while rank == 0 and folder and world > 1 and not records.keys() >= set(keys):
            time.sleep(1)  # the other ranks write into the same folder; torchrun ends us if one of them fails
            records = folder.known()
            bar.update(task, completed=len(records.keys() & set(keys)))
    return [records[key] for key in keys] if rank == 0 else []


def _work(job: Job, keys: Sequence[str], workers: int) -> Iterator[tuple[str, Record]]:
    if workers == 1:
        evaluate = job.start() if keys else None
        for key in keys:
            assert evaluate
            yield key, _timed(evaluate, key)
        return
    threads = max(1, torch.get_num_threads() // workers)
    # spawned, not forked: torch's threads and CUDA do not survive a fork
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _Worker.hire, (job, threads))
    try:
        futures = {pool.submit(_Worker.evaluate, key): key for key in keys}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # photos being worked on are finished, none is begun


class _Worker:
    """What a worker process holds; it starts with its first photo, so that an error in starting is told like any."""

    job: Job
    evaluate_one: Callable[[str], Record] | None = None

    @classmethod
    def hire(cls, job: Job, threads: int) -> None:
        Thread(target=_end_with_parent, daemon=True).start()
        torch.set_num_threads(threads)
        cls.job = job

    @classmethod
    def evaluate(cls, key: str) -> Record:
        cls.evaluate_one = cls.evaluate_one or cls.job.start()
        return _timed(cls.evaluate_one, key)


def _end_with_parent() -> None:
    """A parent that was killed sends no word, and its workers would wait for work for ever, the model in memory."""
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _timed(evaluate: Callable[[str], Record], key: str) -> Record:
    started = time.perf_counter()
    record = evaluate(key)
    return {**record, "seconds": round(time.perf_counter() - started, 3)}
