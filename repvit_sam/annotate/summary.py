"""What a run has made so far, added up from the records of its shards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..jobs.records import Record


@dataclass
class Tally:
    """Counts of a run; one for all of its records, whichever run made them.

    Attributes:
        done: a byte for each shard, 1 where it is made: a million shards are a megabyte.
        failures: (shard, place in it, image id, name, reason) of images that failed.
        seconds: of work, summed over workers and earlier runs.
    """

    shards: int
    done: bytearray = field(default_factory=bytearray)
    images: int = 0
    masks: int = 0
    bytes: int = 0
    seconds: float = 0.0
    peak_mib: int = 0
    failures: list[tuple[int, int, int, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.done = bytearray(self.shards)

    def add(self, shard: int, record: Record) -> None:
        """Count a shard; a second record of it counts nothing."""
        if self.done[shard]:
            return
        self.done[shard] = 1
        self.images += record["images"]
        self.masks += record["masks"]
        self.bytes += record["bytes"]
        self.seconds += record.get("seconds", 0.0)
        self.peak_mib = max(self.peak_mib, record["peak_mib"])
        for place, image_id, name, reason in record["failed"]:
            self.failures.append((shard, place, image_id, name, reason))

    @property
    def failed(self) -> int:
        """Images that failed."""
        return len(self.failures)

    @property
    def handled(self) -> int:
        """Images that were made or failed."""
        return self.images + self.failed

    def to_do(self) -> list[int]:
        """Numbers of the shards without a record."""
        return [number for number, made in enumerate(self.done) if not made]

    def failure_lines(self) -> list[dict[str, Any]]:
        """Failed images in the order of the source."""
        return [{"image": name, "reason": reason} for _, _, _, name, reason in sorted(self.failures)]
