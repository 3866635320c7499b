"""Photos -> batches on the device: canvases (kept or read ahead), views, the teacher's embedding of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from repvit_sam.canvas import LOGITS_STRIDE
from repvit_sam.errors import PhotoError

from ..recipe import Augment
from .augment import Frame, apply_views, draw_view
from .dataset import PackedMasks, PhotoCanvas, normalised, read_ahead
from .embedding_cache import CacheError, EmbeddingCache
from .sampler import chance_at, photo_at
from .sources import PhotoItem

MOST_MASKS = 64  # masks kept of a photo: what one photo can use in a step, whatever is annotated


class Batch(NamedTuple):
    """Some photos, as a stage sees them.

    Attributes:
        positions: of the photos in the stage; what is random about them follows from it.
        canvas: (B, 3, S, S) float32, normalised.
        content_hw: (B, 2) long.
        target: (B, 256, S/16, S/16) float32, the teacher's embedding; None where no one asked for it.
        masks: (K, S/4, S/4) bool for each photo; K may be 0.
    """

    positions: tuple[int, ...]
    canvas: Tensor
    content_hw: Tensor
    target: Tensor | None
    masks: tuple[Tensor, ...]


class KeptCanvases:
    """All canvases on the device as uint8: nothing is read while training. Damaged photos are left out.

    Attributes:
        items: the photos that could be read.
        skipped: what could not, as sentences.

    Raises:
        ValueError: the memory does not hold them, or none can be read.
    """

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
        contents: list[tuple[int, int]] = []
        self._masks: list[PackedMasks] = []  # unpacked they would outweigh the canvases
        canvases = read_ahead(items, canvas_size, workers, workers, MOST_MASKS if with_masks else 0)
        for item, read in zip(items, canvases, strict=True):
            on_photo()
            if isinstance(read, PhotoCanvas):
                self._canvases[len(self.items)] = read.canvas.to(device)
                contents.append(read.content_hw)
                self._masks.append(PackedMasks.of(read.masks))
                self.items.append(item)
            else:
                self.skipped.append(str(read))
        if not self.items:
            raise ValueError(f"none of the {len(items)} photos can be read; the first: {self.skipped[0]}")
        self._content_hw = torch.tensor(contents, device=device)

    def in_order(self, indices: Iterator[list[int]]) -> Iterator[tuple[list[int], Tensor, Tensor, list[Tensor]]]:
        """Index lists -> (indices, canvases, contents, masks)."""
        for some in indices:
            masks = [torch.from_numpy(self._masks[i].unpacked()) for i in some]
            yield some, self._canvases[some], self._content_hw[some], masks


class ReadCanvases:
    """Canvases decoded by threads a batch ahead: for data that memory does not hold.

    A damaged photo is named, and replaced by the next one that can be read; which one follows from the data alone.
    """

    def __init__(
        self,
        items: Sequence[PhotoItem],
        canvas_size: int,
        device: torch.device,
        workers: int,
        with_masks: bool,
        on_skip: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.items = list(items)
        self.skipped: list[str] = []
        self._canvas_size, self._device, self._workers = canvas_size, device, workers
        self._most_masks = MOST_MASKS if with_masks else 0
        self._on_skip = on_skip

    def in_order(self, indices: Iterator[list[int]]) -> Iterator[tuple[list[int], Tensor, Tensor, list[Tensor]]]:
        waiting: list[list[int]] = []
        first_batch = next(indices, None)
        if first_batch is None:
            return

        def wanted() -> Iterator[PhotoItem]:
            for some in chain([first_batch], indices):
                waiting.append(some)
                yield from (self.items[i] for i in some)

        ahead = 2 * len(first_batch)
        canvases = read_ahead(wanted(), self._canvas_size, self._workers, ahead, self._most_masks)
        for first in canvases:
            some, read = waiting.pop(0), [first]
            read += [next(canvases) for _ in some[1:]]
            good = [self._or_next(i, canvas) for i, canvas in zip(some, read, strict=True)]
            yield (
                [i for i, _ in good],
                torch.stack([canvas.canvas for _, canvas in good]).to(self._device, non_blocking=True),
                torch.tensor([canvas.content_hw for _, canvas in good], device=self._device),
                [torch.from_numpy(canvas.masks) for _, canvas in good],
            )

    def _or_next(self, index: int, read: PhotoCanvas | PhotoError) -> tuple[int, PhotoCanvas]:
        for _ in range(len(self.items)):
            if isinstance(read, PhotoCanvas):
                return index, read
            if str(read) not in self.skipped:
                self.skipped.append(str(read))
                self._on_skip(str(read))
            index = (index + 1) % len(self.items)
            (read,) = read_ahead([self.items[index]], self._canvas_size, 1, 1, self._most_masks)
        raise ValueError(f"none of the {len(self.items)} photos can be read; the first: {self.skipped[0]}")


@dataclass(frozen=True)
class Batches:
    """Everything that turns positions into batches.

    Attributes:
        rows: of the photos in the cache; None without one.
        encode: canvases -> the online teacher's embedding; None where the stage needs none.
    """

    canvases: KeptCanvases | ReadCanvases
    seed: int
    augment: Augment
    cache: EmbeddingCache | None = None
    rows: Sequence[int] | None = None
    encode: Callable[[Tensor], Tensor] | None = None

    def of(self, positions: Iterator[list[int]]) -> Iterator[Batch]:
        """Batches for lists of positions, in their order."""
        waiting: list[list[int]] = []

        def indices() -> Iterator[list[int]]:
            for some in positions:
                waiting.append(some)
                yield [photo_at(position, len(self.canvases.items), self.seed) for position in some]

        for found, canvas, content_hw, masks in self.canvases.in_order(indices()):
            yield self._batch(tuple(waiting.pop(0)), found, canvas, content_hw, masks)

    def _batch(
        self, positions: tuple[int, ...], indices: list[int], canvas: Tensor, content_hw: Tensor, masks: list[Tensor]
    ) -> Batch:
        shown = normalised(canvas, content_hw)
        masks = [mask.to(canvas.device) for mask in masks]
        if self.augment.active:
            views = [draw_view(self.augment, chance_at(position, self.seed)) for position in positions]
            shown, frame = apply_views(shown, content_hw, views)
            masks = [_view_of_masks(mask, frame, b) for b, mask in enumerate(masks)]
            content_hw = frame.content_hw
        target = None
        if self.cache is not None and self.rows is not None:
            self._check_same_photos(indices, content_hw)
            target = torch.stack([self.cache.read(self.rows[i]) for i in indices]).to(canvas.device).float()
        elif self.encode is not None:
            target = self.encode(shown)
        return Batch(positions, shown, content_hw, target, tuple(masks))

    def _check_same_photos(self, indices: list[int], content_hw: Tensor) -> None:
        """A photo of another shape than its embedding was made from is another photo."""
        assert self.cache is not None
        assert self.rows is not None
        for i, (height, width) in zip(indices, content_hw.tolist(), strict=True):
            if self.cache.content_hw(self.rows[i]) != (height, width):
                raise CacheError(
                    f"{self.canvases.items[i].name} has changed since {self.cache.folder} was made; make that again"
                )


def _check_memory(needed: int, device: torch.device) -> None:
    free = None
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    elif device.type == "cpu":
        with contextlib.suppress(OSError, StopIteration):  # Linux alone says it in a file
            lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()  # what the page cache can give back
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    if free is not None and needed > free:
        raise ValueError(
            f"the canvases take {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free; "
            "set data.in_memory=false, or take fewer photos (data.limit)"
        )


def _view_of_masks(masks: Tensor, frame: Frame, b: int) -> Tensor:
    """(K, S/4, S/4) bool of the unchanged canvas -> of view b; masks out of sight are left out."""
    if not len(masks):
        return masks
    one = Frame(*(getattr(frame, name)[b : b + 1] for name in Frame.__dataclass_fields__))
    shown = one.sample(masks[None].float(), masks.shape[-1], LOGITS_STRIDE, "nearest")[0] > 0.5
    return shown[shown.any((1, 2))]
