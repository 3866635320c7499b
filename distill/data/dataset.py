"""Canvases by index: all kept on the device, or read from disk as they are needed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Protocol

import torch

from repvit_sam.errors import PhotoError

from .canvas import PhotoCanvas, read_canvas, read_canvases
from .masks import PackedMasks
from .photo_set import PhotoItem

MOST_MASKS = 64  # masks kept of a photo: what one photo can use in a step, whatever is annotated


class CanvasDataset(Protocol):
    """A map-style data set.

    Attributes:
        items: the photos, by index.
        workers: threads that may read it ahead.
    """

    items: list[PhotoItem]
    workers: int

    def __getitem__(self, index: int) -> PhotoCanvas: ...


class MemoryDataset:
    """All canvases on the device as uint8: nothing is read while training. Damaged photos are left out of ``items``.

    Attributes:
        skipped: one message for each damaged photo.

    Raises:
        ValueError: they do not fit into memory, or none can be read.
    """

    workers = 0  # nothing to wait for

    def __init__(
        self,
        items: Sequence[PhotoItem],
        canvas_size: int,
        device: torch.device,
        workers: int,
        with_masks: bool,
        on_photo: Callable[[], None] = lambda: None,
    ) -> None:
        _check_memory(len(items) * 3 * canvas_size**2, device)
        self._canvases = torch.empty((len(items), 3, canvas_size, canvas_size), dtype=torch.uint8, device=device)
        self.items: list[PhotoItem] = []
        self.skipped: list[str] = []
        self._contents_hw: list[tuple[int, int]] = []
        self._masks: list[PackedMasks] = []  # unpacked they would take more memory than the canvases
        canvases = read_canvases(items, canvas_size, workers, workers, MOST_MASKS if with_masks else 0)
        for item, read in zip(items, canvases, strict=True):
            on_photo()
            if isinstance(read, PhotoError):
                self.skipped.append(str(read))
                continue
            self._canvases[len(self.items)] = read.canvas.to(device)
            self._contents_hw.append(read.content_hw)
            self._masks.append(PackedMasks.of(read.masks))
            self.items.append(item)
        if not self.items:
            raise _nothing_readable(items, self.skipped)

    def __getitem__(self, index: int) -> PhotoCanvas:
        masks = self._masks[index].unpacked()
        return PhotoCanvas(self.items[index].name, self._canvases[index], self._contents_hw[index], masks)


class DiskDataset:
    """Canvases decoded as they are asked for: for data that does not fit into memory.

    A damaged photo is named once, and replaced by the next one that can be read, so that batches stay reproducible.
    """

    def __init__(
        self,
        items: Sequence[PhotoItem],
        canvas_size: int,
        workers: int,
        with_masks: bool,
        on_skip: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.items, self.workers = list(items), workers
        self.skipped: list[str] = []
        self._canvas_size, self._most_masks = canvas_size, MOST_MASKS if with_masks else 0
        self._on_skip, self._lock = on_skip, Lock()

    def __getitem__(self, index: int) -> PhotoCanvas:
        for step in range(len(self.items)):
            item = self.items[(index + step) % len(self.items)]
            try:
                return read_canvas(item, self._canvas_size, self._most_masks)
            except PhotoError as error:
                self._skip(str(error))
        raise _nothing_readable(self.items, self.skipped)

    def _skip(self, message: str) -> None:
        with self._lock:  # photos are read by several threads
            if message not in self.skipped:
                self.skipped.append(message)
                self._on_skip(message)


def _nothing_readable(items: Sequence[PhotoItem], skipped: list[str]) -> ValueError:
    return ValueError(f"none of the {len(items)} photos can be read; the first: {skipped[0]}")


def _check_memory(needed: int, device: torch.device) -> None:
    free = None
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    elif device.type == "cpu":
        with contextlib.suppress(OSError, StopIteration):  # only Linux has this file
            lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
            # "available" counts what the page cache can give back
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    if free is not None and needed > free:
        raise ValueError(
            f"the canvases take {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free; "
            "set data.in_memory=false, or take fewer photos (data.limit)"
        )
