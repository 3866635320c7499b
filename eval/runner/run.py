"""Runs a job over all of its photos: in this process, in several, or under torchrun. A stopped run can be resumed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from typing import Any, Protocol, TypeVar

import torch

from repvit_sam.console import progress_bar
from repvit_sam.memory import keep_freed_memory
from repvit_sam.processes import fresh_processes

from .records import Record, RecordFolder

Key = TypeVar("Key", int, str)


class Job(Protocol[Key]):
    """What a program does with each photo. Frozen and picklable: every worker process gets a copy."""

    @property
    def keys(self) -> Sequence[Key]:
        """One for each photo, in the order of the results."""

    def start(self) -> Callable[[Key], Record]:
        """Load the model; returns the function that makes one photo's record. Called once in each process."""


def run_job(
    job: Job[Key], out: Path | None, settings: Mapping[str, Any], workers: int = 1, unit: str = "photos"
) -> dict[Key, Record]:
    """Make the record of every photo.

    Args:
        out: folder in which each record is written as soon as it is made; records found there are not made again. None
            writes nothing.
        settings: everything that decides the records (``RecordFolder``).
        workers: processes on this machine. Under torchrun it must be 1, and ``out`` a folder that all processes see.
        unit: what the keys stand for, to label the progress bar.

    Returns:
        Each key's record, with the ``seconds`` it took, in the order of ``job.keys``. Under torchrun only the first
        process gets them; the others get an empty dict once their share is done.

    Raises:
        ValueError: ``out`` holds records of other settings, or workers, ``out`` and torchrun do not go together;
            whatever the job raises.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if workers < 1:
        raise ValueError(f"--workers must be at least 1, got {workers}")
    if world > 1 and (workers > 1 or out is None):
        raise ValueError("torchrun starts the processes: leave --workers at 1, and give --out")
    keys = {str(key): key for key in job.keys}  # by their names in the files
    if len(keys) != len(job.keys):
        raise ValueError(f"the {unit} to evaluate have duplicates; each must be listed once")
    folder = RecordFolder(out, settings, rank) if out else None
    records = folder.read() if folder else {}
    mine = [key for name, key in list(keys.items())[rank::world] if name not in records]
    with progress_bar() as bar:
        task = bar.add_task(unit, total=len(keys), completed=len(records.keys() & keys), visible=rank == 0)
        for key, record in _evaluate(job, mine, workers):
            records[str(key)] = record
            if folder:
                folder.append(str(key), record)
            bar.update(task, completed=len(records.keys() & keys))
        while rank == 0 and folder and world > 1 and not records.keys() >= keys.keys():
            time.sleep(1)  # the other processes write to the same folder; torchrun ends this one if one of them fails
            records = folder.read()
            bar.update(task, completed=len(records.keys() & keys))
    return {key: records[name] for name, key in keys.items()} if rank == 0 else {}


def _evaluate(job: Job[Key], keys: Sequence[Key], workers: int) -> Iterator[tuple[Key, Record]]:
    if workers == 1:
        keep_freed_memory()
        evaluate = job.start() if keys else None
        for key in keys:
            assert evaluate
            yield key, _timed(evaluate, key)
        return
    threads = max(1, torch.get_num_threads() // workers)
    pool = ProcessPoolExecutor(workers, fresh_processes(), _Worker.initialize, (job, threads))
    try:
        futures = {pool.submit(_Worker.evaluate, key): key for key in keys}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # photos in progress are finished, no other is started


class _Worker:
    """The state of a worker process. It starts the job with its first photo, so that an error there is reported."""

    job: Job[Any]
    evaluate_photo: Callable[[Any], Record] | None = None

    @classmethod
    def initialize(cls, job: Job[Any], threads: int) -> None:
        Thread(target=_exit_with_parent, daemon=True).start()
        torch.set_num_threads(threads)
        keep_freed_memory()
        cls.job = job

    @classmethod
    def evaluate(cls, key: Any) -> Record:
        cls.evaluate_photo = cls.evaluate_photo or cls.job.start()
        return _timed(cls.evaluate_photo, key)


def _exit_with_parent() -> None:
    """A killed parent cannot tell its workers; without this they would wait forever, with the model in memory."""
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _timed(evaluate: Callable[[Key], Record], key: Key) -> Record:
    started = time.perf_counter()
    record = evaluate(key)
    return {**record, "seconds": round(time.perf_counter() - started, 3)}
