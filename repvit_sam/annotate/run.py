"""Annotate a source: list it, make the shards that are not made yet, and put the results together."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from ..errors import JobError
from ..jobs.computing import Computing, agreed_computing
from ..jobs.on_ray import RayPlace, ask_machines, connected, make_records_on_ray
from ..jobs.records import SETTINGS, Record, RecordFolder
from ..jobs.workers import make_records
from .config import Making, Running
from .forms.choice import find_form
from .job import AnnotateJob
from .memory import peak_mib
from .plan import Plan, first_difference, has_plan, read_plan, replace_plan, write_plan
from .results import (
    MANIFEST,
    Results,
    finish_results,
    is_finished,
    is_whole,
    mark_unfinished,
    write_failures,
    write_summary,
)
from .retry import failed_places, take_back
from .shard import ShardFolders, is_in_place
from .sources.files import listing_errors, real_path
from .sources.listing import Source, list_source
from .sources.source_image import SourceImage
from .state import State, state_of
from .summary import Tally

_STAGING = "staging"

# what a person can mend, and then go on
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        look_at: the file or files with the masks, relative to the folder.
        images, masks, failed: of all runs into the folder.
        failures: the first few failed images, each with its reason.
        made_now: images that this run made or saw fail.
        seconds: that this run took.
        peak_mib: the largest memory of one process.
    """

    folder: Path
    look_at: str
    images: int
    masks: int
    failed: int
    failures: tuple[tuple[str, str], ...]
    made_now: int
    seconds: float
    peak_mib: int


class Screen(Protocol):
    """What is told while it runs."""

    def listed(self, images: int) -> None:
        """So many images of the source are listed."""

    def working(self, look: Callable[[], State]) -> AbstractContextManager[None]:
        """The shards are being made while the context is open; ``look`` says how far they are, in any thread."""


def annotate(source: Source, out: Path, making: Making, running: Running, screen: Screen) -> Outcome:
    """Make the masks of every image of the source.

    A run that was stopped or killed goes on: shards with a record are not made again, and the others are, whole. The
    results depend on source and ``making`` alone.

    Args:
        out: folder of the results, which all workers see.

    Raises:
        ValueError: the source or an option is not as expected, the machines of a cluster would not compute alike, or
            ``out`` holds a run of other settings or of a source that has changed since.
        JobError: another run writes there, the folder cannot be written, Ray cannot be started, or a worker died; the
            same command goes on.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("torchrun would start a run in each process; leave it out, and give --workers or --runner ray")
    _check_ours(out)
    out = Path(real_path(out))
    find_form(making.form)  # whether its library is here
    place = RayPlace(running.workers, running.address, running.gpus_per_worker) if running.runner == "ray" else None
    with _disk_errors(out), _alone_in(out), connected(place) if place else nullcontext():
        computing = _computing_of(making, place)
        if not has_plan(out / MANIFEST):  # nothing was begun: another source was mistyped, or its listing stopped
            (out / MANIFEST / SETTINGS).unlink(missing_ok=True)
        records = RecordFolder(out / MANIFEST, making.settings(source, computing))
        plan = _plan_of(source, out, making, running, screen, records)
        if running.retry_failed:
            take_back(plan, out, making, records)
        if place:
            making = replace(making, model=making.model.on(computing))
        return _Run(plan, out, making, running, records, place).go(screen)


def _computing_of(making: Making, place: RayPlace | None) -> Computing:
    """What "auto" means: here, or on the machines of the workers, of which this one may be none."""
    if place is None:
        return making.model.computing
    return agreed_computing(ask_machines(lambda: making.model.computing, place))


class _Run:
    def __init__(
        self,
        plan: Plan,
        out: Path,
        making: Making,
        running: Running,
        records: RecordFolder,
        place: RayPlace | None,
    ) -> None:
        self._plan, self._out, self._making, self._running, self._records = plan, out, making, running, records
        self._place = place
        self._form = find_form(making.form)
        # a name of its own for each run: a worker of one that was just killed may still be writing
        self._folders = ShardFolders(out, out / MANIFEST / _STAGING / secrets.token_hex(4))
        self._tally = Tally(plan.shards)
        self._started = time.monotonic()

    def go(self, screen: Screen) -> Outcome:
        shutil.rmtree(self._folders.staging.parent, ignore_errors=True)  # what a killed run was at
        self._folders.staging.mkdir(parents=True)
        if is_finished(self._out) and not is_whole(self._out):
            mark_unfinished(self._out)
        one_file = (self._out / self._form.look_at).is_file()  # the shards of such a form are removed at the end
        whole = is_finished(self._out) and one_file
        for key, record in self._records.entries():
            if whole or is_in_place(record, self._out):
                self._tally.add(int(key), record)
        before = self._tally.handled
        to_do = self._tally.to_do()
        try:
            if to_do:
                mark_unfinished(self._out)
                with screen.working(self._look):
                    self._make(to_do)
        finally:
            write_failures(self._out, self._tally.failure_lines())
        return self._finish(before)

    def _look(self) -> State:
        return state_of(self._plan.images, self._tally, self._folders)

    def _make(self, to_do: list[int]) -> None:
        job = AnnotateJob(self._plan, self._making, self._folders, to_do)
        for shard, record in self._made(job):
            self._records.append(str(shard), record)
            self._tally.add(shard, record)
            self._folders.progress_file(shard).unlink(missing_ok=True)

    def _made(self, job: AnnotateJob) -> Iterator[tuple[int, Record]]:
        if self._place is None:
            return make_records(job, job.keys, self._running.workers)
        return make_records_on_ray(job, job.keys, self._place)

    def _finish(self, before: int) -> Outcome:
        tally, plan = self._tally, self._plan
        categories = plan.categories or {1: "object"}
        results = Results(self._out, self._making.form, tally.images, tally.masks, categories)
        if is_finished(self._out) and tally.handled == before:
            self._form.tidy(self._out, plan.shards)  # where the last run was killed at it
        else:
            finish_results(results, plan.shards)
        shutil.rmtree(self._folders.staging.parent, ignore_errors=True)
        outcome = Outcome(
            folder=self._out,
            look_at=self._form.look_at,
            images=tally.images,
            masks=tally.masks,
            failed=tally.failed,
            failures=tuple((line["image"], line["reason"]) for line in tally.failure_lines()[:3]),
            made_now=tally.handled - before,
            seconds=time.monotonic() - self._started,
            peak_mib=max(tally.peak_mib, peak_mib()),
        )
        if outcome.made_now:
            write_summary(self._out, _summary(outcome, tally, self._running))
        return outcome


def _summary(outcome: Outcome, tally: Tally, running: Running) -> dict[str, object]:
    return {
        "images": outcome.images,
        "masks": outcome.masks,
        "failed": outcome.failed,
        "bytes": tally.bytes,
        "work_seconds": round(tally.seconds, 1),
        "last_run": {
            "images": outcome.made_now,
            "seconds": round(outcome.seconds, 1),
            "runner": running.runner,
            "workers": running.workers,
        },
        "peak_mib": outcome.peak_mib,
    }


def _plan_of(
    source: Source, out: Path, making: Making, running: Running, screen: Screen, records: RecordFolder
) -> Plan:
    """The plan of the folder, after it was compared with the source, or a new one.

    Where failed images are to be made again they may have been written again, and nothing else.
    """
    folder = out / MANIFEST
    if running.as_listed and has_plan(folder):
        return read_plan(folder)
    if not has_plan(folder):
        return _list(source, out, making, folder, screen)
    again = folder / "again"
    try:
        again.mkdir(exist_ok=True)
        plan, listed = read_plan(folder), _list(source, out, making, again, screen)
        difference = first_difference(plan, listed)
        failed = failed_places(records, making.shard_size) if difference else ()
        of_others = first_difference(plan, listed, leaving_out=failed) if difference else None
        if difference and not of_others and running.retry_failed:
            return replace_plan(plan, listed)
    finally:
        shutil.rmtree(again, ignore_errors=True)
    if difference:
        retry = "" if of_others else "--retry-failed to make the images that failed, "
        raise ValueError(
            f"the source is not what {out} was begun with: {of_others or difference}; give another --out, {retry}"
            "or --as-listed to go on with the images as they were listed then"
        )
    return plan


def _list(source: Source, out: Path, making: Making, folder: Path, screen: Screen) -> Plan:
    with listing_errors(source.address):
        listing = list_source(Source(source.address, source.images, source.annotations, source.use, leave_out=out))
    images = _counted(islice(listing.images, making.limit), source, screen)
    return write_plan(folder, images, making.shard_size, listing.categories)


def _counted(images: Iterator[SourceImage], source: Source, screen: Screen) -> Iterator[SourceImage]:
    with listing_errors(source.address):
        for number, image in enumerate(images, 1):
            if number % 1000 == 0:
                screen.listed(number)
            yield image


def _check_ours(out: Path) -> None:
    """A run replaces and removes files by their names, so it must not meet a person's own."""
    if re.match(r"[a-zA-Z][\w+.-]+:/", str(out)):
        typed = str(out).replace(":/", "://", 1)  # a path has lost the second slash
        raise ValueError(f"--out must be a folder, of this machine or mounted, got the address {typed}")
    if out.is_dir() and not (out / MANIFEST).is_dir() and any(out.iterdir()):
        raise ValueError(f"{out} holds other files; give a new or an empty folder as --out")


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Hold the folder; the system lets go of it when this process ends, however it does."""
    (out / MANIFEST).mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / MANIFEST / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise JobError(f"another run is writing to {out}; wait for its end, or give another --out") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """Say in a sentence that a folder cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        where = error.filename or out
        raise JobError(
            f"{where} cannot be written: {error.strerror}; make room or give the right to write, "
            "and the same command goes on where it stopped"
        ) from error
