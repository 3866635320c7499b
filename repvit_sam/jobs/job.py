"""What a run does with each of its units: a photo, a set, a shard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from .records import Record

Key = TypeVar("Key", int, str)


class Job(Protocol[Key]):
    """What a program does with each photo. Frozen and picklable: every worker process gets a copy."""

    @property
    def keys(self) -> Sequence[Key]:
        """One for each photo, in the order of the results."""

    def start(self) -> Callable[[Key], Record]:
        """Load the model; returns the function that makes one photo's record. Called once in each process."""
