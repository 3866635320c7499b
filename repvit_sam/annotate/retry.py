"""Images that failed, once more: their shards lose their records, and the run goes on as one that was stopped."""

from __future__ import annotations

from pathlib import Path

from ..jobs.records import RecordFolder
from .config import Making
from .forms.choice import find_form
from .plan import Plan, remove_other_plans
from .results import is_whole, mark_unfinished


def failed_places(records: RecordFolder, shard_size: int) -> frozenset[int]:
    """Places in the plan, from 0 on, of the images that failed."""
    return frozenset(
        int(shard) * shard_size + failure[0] for shard, record in records.entries() for failure in record["failed"]
    )


def take_back(plan: Plan, out: Path, making: Making, records: RecordFolder) -> None:
    """Forget the shards of images that failed; those of all others stay as they were made.

    Each step leaves a folder that the same command, or the one before it, goes on with.
    """
    remove_other_plans(plan)
    failed = failed_places(records, making.shard_size)
    if not failed:
        return
    if is_whole(out):
        ids = ((shard, {image.image_id or 0 for image in plan.shard(shard)}) for shard in range(plan.shards))
        find_form(making.form).take_apart(out, ids)
    mark_unfinished(out)
    records.forget({str(place // making.shard_size) for place in failed})
