"""Write the teacher's embeddings of all photos to disk once, so that training need not compute them.

    python distill/cache_embeddings.py --teacher vit_h --data photos/ --data sa_000020.tar --cache CACHE
    torchrun --nproc-per-node 8 distill/cache_embeddings.py ...        # any number of ranks, on one machine or many
    python distill/cache_embeddings.py --cache CACHE --verify          # read everything back and compare

A run that was stopped continues. Ranks need no connection to each other, only the same folder: each takes every
n-th batch by ``RANK`` and ``WORLD_SIZE``, which torchrun sets, and any cluster can set.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from repvit_sam.canvas import CANVAS_SIZE
from repvit_sam.console import report_errors
from repvit_sam.device import pick_device
from repvit_sam.distill.data.canvas import PhotoCanvas, normalise, read_canvases
from repvit_sam.distill.data.embedding_cache import CacheError, EmbeddingCache, Manifest, RowState
from repvit_sam.distill.data.photo_set import PhotoItem
from repvit_sam.distill.data.sources import read_sources
from repvit_sam.distill.progress import ProgressBar
from repvit_sam.distill.teacher import encode, load_teacher
from repvit_sam.errors import PhotoError
from repvit_sam.memory import keep_freed_memory
from repvit_sam.modeling.sam import SamModel


def main(
    cache: Annotated[Path, typer.Option(help="folder of the embeddings, new or to be continued")],
    teacher: Annotated[str, typer.Option(help="vit_h, vit_l, vit_b, vit_t, a checkpoint name, or a file")] = "vit_h",
    data: Annotated[list[str] | None, typer.Option(help="folder, tar, COCO folder or .txt list; repeat")] = None,
    canvas: Annotated[int, typer.Option(help="side of the canvas in pixels")] = CANVAS_SIZE,
    batch: Annotated[int, typer.Option(help="photos at once")] = 1,
    precision: Annotated[str, typer.Option(help="bf16, fp16, fp32; auto: bf16 on CUDA, else fp32")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps")] = "auto",
    workers: Annotated[int, typer.Option(help="threads that decode photos")] = 4,
    limit: Annotated[int | None, typer.Option(help="only the first N photos")] = None,
    compile: Annotated[bool, typer.Option(help="torch.compile the teacher: minutes of start, then faster")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="check every embedding against its checksum")] = False,
) -> None:
    """Cache the embeddings of a teacher."""
    with report_errors():
        if verify:
            verify_cache(EmbeddingCache(cache))
            return
        if not data:
            raise ValueError("no photos given; add --data FOLDER_OR_TAR (repeat for several)")
        if precision not in ("auto", "bf16", "fp16", "fp32"):
            raise ValueError(f"--precision must be auto, bf16, fp16 or fp32, got {precision}")
        if batch < 1 or workers < 1:
            raise ValueError("--batch and --workers must be at least 1")
        rank, world = _rank_and_world()
        chosen = pick_device(device)
        if chosen.type == "cuda" and world > 1:
            chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        if precision == "auto":
            precision = "bf16" if chosen.type == "cuda" else "fp32"
        photos = read_sources(data).limited(limit)
        model = load_teacher(teacher, canvas, chosen)
        manifest = Manifest.of(model, teacher, precision)
        _check_disk(cache, manifest, len(photos.items))
        store = EmbeddingCache.prepare(cache, manifest, [item.name for item in photos.items])
        if compile:
            model.image_encoder.compile()
        for name in photos.incomplete if rank == 0 else ():
            typer.echo(f"left out: {name}", err=True)
        write_embeddings(store, model, photos.items, batch, workers, rank, world)


def write_embeddings(
    cache: EmbeddingCache,
    teacher: SamModel,
    items: Sequence[PhotoItem],
    batch: int = 1,
    workers: int = 4,
    rank: int = 0,
    world: int = 1,
) -> None:
    """Encode the photos of this rank's share that are missing in the cache.

    Batches are cut from all rows at fixed places and then divided among the ranks, so the same photos are always in one
    batch: the bytes depend neither on the number of ranks nor on a run being stopped.
    """
    device = next(teacher.parameters()).device
    done_before = cache.records()["state"] == RowState.DONE
    todo = _missing_batches(cache, items, batch, done_before, rank, world)
    bar = ProgressBar(f"rank {rank}" if world > 1 else "teacher", max(1, len(todo)))
    started, done, skipped = time.monotonic(), 0, 0
    canvases = read_canvases([item for rows in todo for _, item in rows], teacher.canvas_size, workers, batch)
    with bar:
        for count, rows in enumerate(todo, start=1):
            read = [(row, next(canvases)) for row, _ in rows]
            for row, error in read:
                if isinstance(error, PhotoError):
                    bar.print(f"skipped: {error}")
                    cache.write([row], None, [(0, 0)])
                    skipped += 1
            good = [(row, canvas) for row, canvas in read if isinstance(canvas, PhotoCanvas)]
            encoded = _encode_missing(cache, teacher, good, done_before)
            done += encoded
            bar.advance(count, encoded)
    typer.echo(
        f"{done} photos encoded, {skipped} skipped, in {time.monotonic() - started:.0f} s: {cache.folder}", err=True
    )
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**30
        typer.echo(f"{bar.images_per_second:.1f} img/s, at most {peak:.1f} GiB of GPU memory", err=True)


def _encode_missing(
    cache: EmbeddingCache, teacher: SamModel, batch: Sequence[tuple[int, PhotoCanvas]], done: NDArray[np.bool_]
) -> int:
    """Encode a batch of (row, canvas) and store the rows that are not done; returns how many."""
    missing = [place for place, (row, _) in enumerate(batch) if not done[row]]
    if missing:
        device = next(teacher.parameters()).device
        stacked = torch.stack([canvas.canvas for _, canvas in batch]).to(device)
        content_hw = torch.tensor([canvas.content_hw for _, canvas in batch], device=device)
        embeddings = encode(teacher, normalise(stacked, content_hw), cache.manifest.precision)
        rows, canvases = zip(*(batch[place] for place in missing), strict=True)
        cache.write(rows, embeddings[missing], [canvas.content_hw for canvas in canvases])
    return len(missing)


def verify_cache(cache: EmbeddingCache) -> None:
    """Read every embedding back.

    Raises:
        CacheError: some are damaged.
    """
    records = cache.records()
    done = int((records["state"] == RowState.DONE).sum())
    skipped = int((records["state"] == RowState.SKIPPED).sum())
    damaged = []
    with ProgressBar("verifying", max(1, done)) as bar:
        for count, (row, is_damaged) in enumerate(cache.damaged_rows(), start=1):
            if is_damaged:
                damaged.append(cache.names[row])
                cache.forget(row)
            bar.advance(count, 1)
    missing = len(cache.names) - done - skipped
    typer.echo(f"{done} embeddings of {cache.manifest.teacher}, {skipped} skipped, {missing} missing")
    if damaged:
        raise CacheError(
            f"{len(damaged)} embeddings are damaged (the first: {damaged[0]}) and now count as missing; "
            "run distill/cache_embeddings.py on the same data to make them again"
        )


def _missing_batches(
    cache: EmbeddingCache,
    items: Sequence[PhotoItem],
    batch: int,
    done: NDArray[np.bool_],
    rank: int,
    world: int,
) -> list[list[tuple[int, PhotoItem]]]:
    """This rank's batches of (row, photo), divided by row number, in which some row is not done.

    By row number, because ranks start at different times and see different rows done. Photos that could not be read are
    tried again: a disk may have been away.
    """
    item_of = {item.name: item for item in items}
    starts = range(rank * batch, len(cache.names), world * batch)
    return [
        [(row, item_of[name]) for row, name in enumerate(cache.names[start : start + batch], start) if name in item_of]
        for start in starts
        if not done[start : start + batch].all()
    ]


def _check_disk(folder: Path, manifest: Manifest, photos: int) -> None:
    """Print how much space is needed and how much is free; raise CacheError where it is too little."""
    there = sum(file.stat().st_blocks * 512 for file in folder.glob("shard-*")) if folder.exists() else 0
    needed = max(0, photos * manifest.row_bytes - there)
    near = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(near).free
    typer.echo(f"{photos} photos: {needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB free on the disk", err=True)
    if needed > free:
        raise CacheError(f"the disk of {folder} has too little room; --limit the photos, or choose another folder")


def _rank_and_world() -> tuple[int, int]:
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


if __name__ == "__main__":
    keep_freed_memory()
    typer.run(main)
