"""What does annotate's bookkeeping cost for a million images, the images themselves left out?

    python benchmarks/annotate_bookkeeping.py --images 1000000

Makes up a listing, plans it, makes a record for every shard without opening an image, reads all of it again as a
resumed run does, and prints the time, the bytes on disk and the memory of the process for each step.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, TypeVar

import psutil
import typer

from repvit_sam.annotate.memory import peak_mib
from repvit_sam.annotate.plan import read_plan, write_plan
from repvit_sam.annotate.sources.source_image import SourceImage
from repvit_sam.annotate.summary import Tally
from repvit_sam.jobs.records import Record, RecordFolder

Made = TypeVar("Made")


def listing(images: int) -> Iterator[SourceImage]:
    """Images of SA-1B, by their names: eleven thousand a tar."""
    for number in range(images):
        tar = f"sa_{number // 11_186:06d}"
        place = 512 + number % 11_186 * 950_000
        yield SourceImage(f"{tar}/sa_{number}.jpg", f"/data/sa1b/{tar}.tar", 450_000, "1795991374.368837", place)


def fake_record(shard: int, images: int) -> Record:
    """As ``make_shard`` returns it; one image in a thousand failed."""
    failed = [[0, shard * images, f"sa_{shard * images}.jpg", "the file is damaged"]] if shard % 16 == 0 else []
    return {
        "images": images - len(failed),
        "masks": 100 * images,
        "failed": failed,
        "file": f"shards/{shard:05d}.jsonl",
        "bytes": 123_456_789,
        "sha256": f"{shard:064x}",
        "peak_mib": 1234,
        "seconds": 123.456,
    }


def measured(what: str, work: Callable[[], Made]) -> tuple[Made, dict[str, object]]:
    """Do the work; also a row with its seconds, and the memory of the process: now, and the largest so far."""
    started = time.perf_counter()
    made = work()
    seconds = time.perf_counter() - started
    megabytes = psutil.Process().memory_info().rss / 2**20
    row = {"step": what, "seconds": round(seconds, 2), "resident_mib": round(megabytes), "peak_mib": peak_mib()}
    typer.echo(f"{what:<40} {seconds:8.2f} s   {megabytes:7.0f} MiB, at most {peak_mib()}")
    return made, row


def main(
    images: Annotated[int, typer.Option(min=1, help="how many are made up")] = 1_000_000,
    shard_size: Annotated[int, typer.Option(min=1, help="images a shard")] = 64,
    out: Annotated[Path | None, typer.Option("--json", help="write the figures here as well")] = None,
) -> None:
    """Time the bookkeeping."""
    folder = Path(tempfile.mkdtemp(prefix="bookkeeping-"))
    rows = []
    try:
        _, row = measured("start, libraries imported", lambda: None)
        rows.append(row)
        plan, row = measured("listing planned", lambda: write_plan(folder, listing(images), shard_size, {}))
        rows.append(row)
        records = RecordFolder(folder, {})

        def append_all() -> Tally:
            tally = Tally(plan.shards)
            for shard in range(plan.shards):
                record = fake_record(shard, shard_size)
                records.append(str(shard), record)
                tally.add(shard, record)
            return tally

        _, row = measured("a record for every shard", append_all)
        rows.append(row)

        def read_again() -> Tally:
            tally = Tally(read_plan(folder).shards)
            for key, record in records.entries():
                tally.add(int(key), record)
            return tally

        tally, row = measured("resumed: plan and records read again", read_again)
        rows.append(row)
        _, row = measured("a shard of the plan, a thousand times", lambda: [plan.shard(0) for _ in range(1000)])
        rows.append(row)
        sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        for name, size in sizes.items():
            typer.echo(f"{name:<40} {size:12,} bytes, {size / images:7.2f} an image")
        typer.echo(f"{images:,} images, {plan.shards:,} shards, {tally.failed:,} failed")
        if out:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(
                json.dumps({"images": images, "shards": plan.shards, "rows": rows, "bytes": sizes}, indent=1)
            )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
