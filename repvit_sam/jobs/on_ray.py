"""A job on Ray Data, for what outgrows one machine: the same units, each worker an actor that loads the model once."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import JobError
from .job import Job, Key
from .records import Record

_AT_ONCE = 5_000  # units handed to Ray in one go: each is a block, of which it holds a list
_RETRIES = 3  # of a unit whose worker died


@dataclass(frozen=True)
class RayPlace:
    """Where Ray works.

    Attributes:
        workers: actors.
        address: of a cluster, "auto" for the one that this machine belongs to; None starts Ray on this machine.
        gpus_per_worker: GPUs of each actor, or a share of one.
        temp: folder of Ray's sockets and logs where it is started here; None makes one and removes it.
    """

    workers: int = 1
    address: str | None = None
    gpus_per_worker: float = 0.0
    temp: str | None = None


def make_records_on_ray(job: Job[Key], keys: Sequence[Key], place: RayPlace) -> Iterator[tuple[Key, Record]]:
    """As ``workers.make_records``, in actors of Ray Data. A unit whose worker dies is made again, three times at most.

    Raises:
        JobError: Ray cannot be started or reached, or a unit's workers died each time.
        ValueError: Ray is not installed.
        Exception: whatever the job raises.
    """
    with _connected(place):
        for start in range(0, len(keys), _AT_ONCE):
            yield from _some(job, keys[start : start + _AT_ONCE], place)


def _some(job: Job[Key], keys: Sequence[Key], place: RayPlace) -> Iterator[tuple[Key, Record]]:
    import ray
    from ray.exceptions import RayError

    cores = ray.cluster_resources().get("CPU", 1)
    rows = ray.data.from_items([{"number": number} for number in range(len(keys))], override_num_blocks=len(keys))
    made = rows.map(
        _RayWorker,
        fn_constructor_args=(job, list(keys)),
        compute=ray.data.ActorPoolStrategy(size=place.workers),
        num_cpus=min(1.0, cores / place.workers),
        num_gpus=place.gpus_per_worker or None,
        max_restarts=-1,
        max_task_retries=_RETRIES,
    )
    try:
        for row in made.iter_rows():
            if row["error"] is not None:
                raise ray.cloudpickle.loads(row["error"])
            yield keys[row["number"]], json.loads(row["record"])
    except RayError as error:
        raise JobError(
            f"a worker of Ray died {_RETRIES + 1} times at the same work, or Ray itself stopped "
            f"({type(error).__name__}); the same command goes on"
        ) from error


class _RayWorker:
    """An actor. What the job raises is handed over as it is, in place of a record."""

    def __init__(self, job: Job[Any], keys: list[Any]) -> None:
        from ..memory import keep_freed_memory

        keep_freed_memory()
        self._job, self._keys = job, keys
        self._work: Any = None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        from .workers import timed

        number = int(row["number"])
        try:
            self._work = self._work or self._job.start()
            record = timed(self._work, self._keys[number])
        except Exception as error:
            import ray

            return {"number": number, "record": None, "error": ray.cloudpickle.dumps(error)}
        return {"number": number, "record": json.dumps(record), "error": None}


@contextmanager
def _connected(place: RayPlace) -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before the import: Ray reports to its makers otherwise
    try:
        import ray
    except ImportError:
        raise ValueError("--runner ray needs Ray: pip install 'repvit-sam[ray]'") from None
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    # sockets have paths of 107 bytes at most, so it is not made under a long --out
    temp = place.temp or (tempfile.mkdtemp(prefix="ray-") if place.address is None else None)
    here = {"_temp_dir": temp, "include_dashboard": False, "num_gpus": None} if place.address is None else {}
    try:
        try:
            ray.init(address=place.address, ignore_reinit_error=False, **quiet, **here)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            where = place.address or "on this machine"
            raise JobError(f"Ray cannot be started or reached ({where}): {error}") from None
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
    finally:
        ray.shutdown()
        if temp and not place.temp:
            shutil.rmtree(temp, ignore_errors=True)
