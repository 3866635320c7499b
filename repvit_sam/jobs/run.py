"""Runs a job over all of its photos: in this process, in several, or under torchrun. A stopped run can be resumed."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..console import progress_bar
from .job import Job, Key
from .records import Record, RecordFolder
from .workers import make_records


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
        ValueError: ``out`` holds records of other settings, or workers, ``out`` and torchrun do not go together.
        JobError: a worker process died.
        Exception: whatever the job raises.
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
        for key, record in make_records(job, mine, workers):
            records[str(key)] = record
            if folder:
                folder.append(str(key), record)
            bar.update(task, completed=len(records.keys() & keys))
        while rank == 0 and folder and world > 1 and not records.keys() >= keys.keys():
            time.sleep(1)  # the other processes write to the same folder; torchrun ends this one if one of them fails
            records = folder.read()
            bar.update(task, completed=len(records.keys() & keys))
    return {key: records[name] for name, key in keys.items()} if rank == 0 else {}
