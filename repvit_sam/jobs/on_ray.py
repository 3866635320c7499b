"""A job on Ray Data, for what outgrows one machine: the same units, each worker an actor that loads the model once."""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import JobError
from ..memory import keep_freed_memory
from .job import Job, Key
from .records import Record
from .workers import timed

Answer = TypeVar("Answer")

_PATIENCE = 60.0  # seconds that a machine has to answer, before workers are started without it
_AT_ONCE = 5_000  # units handed to Ray in one go: each is a block, of which it holds a list


@dataclass(frozen=True)
class RayPlace:
    """Where Ray works.

    Attributes:
        workers: actors.
        address: of a cluster, "auto" for the one that this machine belongs to; None takes the Ray that this process has
            started, or starts one on this machine.
        gpus_per_worker: GPUs of each actor, or a share of one.
        tries: of a unit whose worker dies.
    """

    workers: int = 1
    address: str | None = None
    gpus_per_worker: float = 0.0
    tries: int = 4


def make_records_on_ray(job: Job[Key], keys: Sequence[Key], place: RayPlace) -> Iterator[tuple[Key, Record]]:
    """As ``workers.make_records``, in actors of Ray Data. A unit whose worker dies is tried again.

    Raises:
        JobError: Ray cannot be started or reached, it stopped, or a unit's workers died each time.
        ValueError: Ray is not installed.
        Exception: whatever the job raises.
    """
    with connected(place):
        for start in range(0, len(keys), _AT_ONCE):
            yield from _some(job, keys[start : start + _AT_ONCE], place)


def ask_machines(question: Callable[[], Answer], place: RayPlace) -> list[tuple[str, Answer]]:
    """What every machine that can hold a worker answers, asked with a worker's share of its GPUs.

    A machine that is too busy to answer is left out; a worker there that cannot compute so says it later.

    Args:
        question: picklable; called in a process there.

    Returns:
        the machine's name with its answer; at least one.

    Raises:
        JobError: Ray cannot be started or reached, it stopped, or a machine cannot hold a worker at all.
        ValueError: as the question raises it, with the machine's name.
    """
    with connected(place):
        import ray
        from ray.exceptions import RayError, RayTaskError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        share = {"num_cpus": 0, "num_gpus": place.gpus_per_worker or None, "max_retries": 0}
        ask = ray.remote(**share)(_answer)
        ids = [node["NodeID"] for node in ray.nodes() if node["Alive"] and _holds_worker(node["Resources"], place)]
        there = [NodeAffinitySchedulingStrategy(node_id=node, soft=False) for node in ids]
        asked = [ask.options(scheduling_strategy=where).remote(question) for where in there or ["DEFAULT"]]
        ready, late = ray.wait(asked, num_returns=len(asked), timeout=_PATIENCE)
        if not ready:  # workers would have to wait as well
            ready, late = ray.wait(asked, num_returns=1)
        for waiting in late:
            ray.cancel(waiting, force=True)
        try:
            answers = ray.get(ready)
        except RayTaskError as error:  # not a ValueError: repvit-sam is not there, or cannot be imported
            raise JobError(f"a machine of the cluster cannot be a worker: {error.cause}") from error
        except RayError as error:
            raise JobError(f"Ray stopped ({type(error).__name__}); the same command goes on") from error
    for name, _, refusal in answers:
        if refusal is not None:
            raise ValueError(f"{refusal} (on {name})")
    return [(name, answer) for name, answer, _ in answers]


def _holds_worker(resources: Mapping[str, float], place: RayPlace) -> bool:
    return resources.get("CPU", 0) > 0 and resources.get("GPU", 0) >= place.gpus_per_worker


def _answer(question: Callable[[], Any]) -> tuple[str, Any, str | None]:
    """This machine's name, and the answer or why there is none."""
    try:
        return platform.node(), question(), None
    except ValueError as error:
        return platform.node(), None, str(error)


def _some(job: Job[Key], keys: Sequence[Key], place: RayPlace) -> Iterator[tuple[Key, Record]]:
    import ray
    from ray.exceptions import RayError

    cores = ray.cluster_resources().get("CPU", 1)
    rows = ray.data.from_items([{"number": number} for number in range(len(keys))], override_num_blocks=len(keys))
    attempts = ray.remote(num_cpus=0)(_Attempts).remote()
    made = rows.map(
        _RayWorker,
        fn_constructor_args=(job, list(keys), place.tries, attempts),
        compute=ray.data.ActorPoolStrategy(size=place.workers),
        num_cpus=min(1.0, cores / place.workers),
        num_gpus=place.gpus_per_worker or None,
    )
    try:
        for row in made.iter_rows():
            if row["error"] is not None:
                raise ray.cloudpickle.loads(row["error"])
            yield keys[row["number"]], json.loads(row["record"])
    except RayError as error:
        raise JobError(f"Ray stopped ({type(error).__name__}); the same command goes on") from error


class _Attempts:
    """An actor that counts how often each unit was begun: Ray Data would try one that kills its worker for ever."""

    def __init__(self) -> None:
        self._begun: dict[int, int] = {}

    def begin(self, number: int) -> int:
        """Count one more; returns how many it makes."""
        self._begun[number] = self._begun.get(number, 0) + 1
        return self._begun[number]


class _RayWorker:
    """An actor. What the job raises is handed over as it is, in place of a record."""

    def __init__(self, job: Job[Any], keys: list[Any], tries: int, attempts: Any) -> None:
        keep_freed_memory()
        self._job, self._keys, self._tries, self._attempts = job, keys, tries, attempts
        self._work: Any = None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        import ray

        number = int(row["number"])
        try:
            if ray.get(self._attempts.begin.remote(number)) > self._tries:
                raise JobError(
                    f"the workers of Ray died {self._tries} times at {self._keys[number]!r}, as they do where memory "
                    "is short; give the same command with fewer --workers, and it goes on"
                )
            self._work = self._work or _started(self._job)
            return {"number": number, "record": json.dumps(timed(self._work, self._keys[number])), "error": None}
        except Exception as error:
            return {"number": number, "record": None, "error": ray.cloudpickle.dumps(error)}


def _started(job: Job[Any]) -> Callable[[Any], Record]:
    """A worker that cannot compute what was chosen says where it is: clusters may have machines of several kinds."""
    try:
        return job.start()
    except ValueError as error:
        raise ValueError(f"{error} (on {platform.node()})") from error


@contextmanager
def connected(place: RayPlace) -> Iterator[None]:
    """Ray, while the context is open; one that this process has started already is left as it is.

    Raises:
        JobError: it cannot be started or reached.
        ValueError: it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before the import: Ray reports to its makers otherwise
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its own errors would stand among ours
    try:
        import ray
    except ImportError:
        raise ValueError("--runner ray needs Ray: pip install 'repvit-sam[ray]'") from None
    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    # a folder of its own with a short name: Ray's sockets have paths of 107 bytes at most
    temp = tempfile.mkdtemp(prefix="ray-") if place.address is None else None
    here = {"_temp_dir": temp, "include_dashboard": False} if temp else {}
    try:
        try:
            with _nothing_on_stderr():
                ray.init(address=place.address, **quiet, **here)
        except Exception as error:  # a plain one where a machine is too busy to start Ray in time
            where = place.address or "on this machine"
            raise JobError(f"Ray cannot be started or reached ({where}): {error}") from None
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
    finally:
        ray.shutdown()
        if temp:
            shutil.rmtree(temp, ignore_errors=True)


@contextmanager
def _nothing_on_stderr() -> Iterator[None]:
    """Ray's own lines about its start come from C++; what goes wrong is raised."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
