"""How far a run is, in images, while its shards are being made."""

from __future__ import annotations

from dataclasses import dataclass

from .shard import ShardFolders
from .summary import Tally


@dataclass(frozen=True)
class State:
    """Images of a run.

    Attributes:
        total: of the plan.
        done: made or failed, by this run and earlier ones.
        failed: of these.
    """

    total: int
    done: int
    failed: int


def state_of(total: int, tally: Tally, folders: ShardFolders) -> State:
    """The shards with a record, and the images that workers have done of others."""
    done, failed = tally.handled, tally.failed
    for path in folders.staging.glob("*.progress"):
        try:
            marks = b"" if tally.done[int(path.stem)] else path.read_bytes()
        except (OSError, ValueError, IndexError):  # just removed
            continue
        done, failed = done + len(marks), failed + marks.count(b"x")
    return State(total, min(done, total), failed)
