"""What a run learns from: photos, canvases and the teacher's targets for each stage of its recipe."""

from __future__ import annotations

from functools import partial
from itertools import count

import torch
import typer

from repvit_sam.modeling.sam import SamModel

from ..recipe import Augment, Data, Recipe, RecipeError, Stage
from ..run.progress import Meter
from ..teacher import encode
from .dataset import valid_cells
from .embedding_cache import EmbeddingCache, Manifest
from .loader import Batches, KeptCanvases, ReadCanvases
from .sources import PhotoItem, Photos, find_photos

_PHOTOS_FOR_VARIANCE = 32


class Material:
    """See the module.

    Attributes:
        photos: of each stage; all are found, and the cache is opened, before anything is computed.

    Raises:
        RecipeError: a stage without photos, or without masks where it needs them.
        CacheError, ValueError: a cache or a source that cannot be used.
    """

    def __init__(self, recipe: Recipe, teacher: SamModel, device: torch.device, first: bool) -> None:
        self._recipe, self._teacher, self._device, self._first = recipe, teacher, device, first
        self._cache: EmbeddingCache | None = None
        if recipe.teacher.cache is not None:
            self._cache = EmbeddingCache(recipe.teacher.cache)
            manifest = Manifest.of(teacher, recipe.teacher.checkpoint, "")
            self._cache.manifest.check_same(manifest, recipe.teacher.cache)
        found = self._find(recipe.data)
        self.photos = [found if stage.data is None else self._find(stage.data) for stage in recipe.stages]
        self._kept: tuple[object, KeptCanvases | ReadCanvases] | None = None
        for number in range(len(recipe.stages)):
            self._split(number)

    def manifest(self) -> dict[str, object]:
        """What identifies the photos of all stages."""
        return {f"stage {number}": photos.manifest() for number, photos in enumerate(self.photos, start=1)}

    def batches(self, number: int, seed: int) -> tuple[Batches, list[PhotoItem]]:
        """What a stage trains on, and the photos held out."""
        stage = self._recipe.stages[number]
        items, held_out = self._split(number)
        batches = Batches(self._canvases(items, stage), seed, stage.augment)
        return (batches if stage.kind == "masks" else self._with_targets(batches)), held_out

    def whole(self, items: list[PhotoItem]) -> Batches:
        """Photos as they are, in their order, read as needed: for measuring."""
        canvases = ReadCanvases(items, self._recipe.canvas, self._device, 2, with_masks=False)
        return self._with_targets(Batches(canvases, 0, Augment()))

    def variance_of_targets(self, batches: Batches) -> float:
        """Of the teacher's embedding over the photos, about each channel's mean: what losses are divided by."""
        plain = Batches(batches.canvases, batches.seed, Augment(), batches.cache, batches.rows, batches.encode)
        cells = []
        for batch in plain.of([position] for position in range(min(_PHOTOS_FOR_VARIANCE, len(batches.canvases.items)))):
            assert batch.target is not None
            valid = valid_cells(batch.content_hw, self._recipe.canvas)[0, 0]
            cells.append(batch.target[0][:, valid])  # (256, cells)
        return float(torch.cat(cells, dim=1).var(dim=1, correction=0).mean())

    def _find(self, data: Data) -> Photos:
        photos = find_photos(data.sources).limited(data.limit)
        for name in photos.torn:
            self._say(f"left out: {name}")
        return photos

    def _split(self, number: int) -> tuple[list[PhotoItem], list[PhotoItem]]:
        """The photos to train on, and those held out, evenly spread."""
        stage = self._recipe.stages[number]
        data = stage.data or self._recipe.data
        items = list(self.photos[number].items)
        if stage.kind == "masks":
            items = [item for item in items if item.annotations]
        elif self._cache:
            unread = self._cache.skipped_names()
            items = [item for item in items if item.name not in unread]
        held = min(data.hold_out, len(items) // 4)
        held_out = items[:: len(items) // held][:held] if held else []
        names = {item.name for item in held_out}
        items = [item for item in items if item.name not in names]
        if not items:
            what = "photos with masks" if stage.kind == "masks" else "photos"
            raise RecipeError(f"stage {number + 1} ({stage.kind}) has no {what} to train on")
        return items, held_out

    def _canvases(self, items: list[PhotoItem], stage: Stage) -> KeptCanvases | ReadCanvases:
        """Those of the stage before, where it had the same photos."""
        data, with_masks = stage.data or self._recipe.data, stage.kind != "encoder"
        same = ([item.name for item in items], with_masks, data.in_memory)
        if self._kept and self._kept[0] == same:
            return self._kept[1]
        self._kept = None  # frees the memory before the next are read
        canvases: KeptCanvases | ReadCanvases
        if data.in_memory:
            with Meter("reading photos", len(items), silent=not self._first) as meter:
                done = count(1)
                canvases = KeptCanvases(
                    items,
                    self._recipe.canvas,
                    self._device,
                    data.workers,
                    with_masks,
                    on_photo=lambda: meter.advance(next(done), 1),
                )
            for sentence in canvases.skipped:
                self._say(f"skipped: {sentence}")
        else:
            canvases = ReadCanvases(
                items,
                self._recipe.canvas,
                self._device,
                data.workers,
                with_masks,
                on_skip=lambda sentence: self._say(f"skipped: {sentence}"),
            )
        self._kept = same, canvases
        return canvases

    def _with_targets(self, batches: Batches) -> Batches:
        """The same, with the teacher's embeddings: from the cache, or made on the spot."""
        if self._cache is None:
            online = partial(encode, self._teacher, precision=self._recipe.teacher.precision)
            return Batches(batches.canvases, batches.seed, batches.augment, encode=online)
        rows = self._cache.rows_of([item.name for item in batches.canvases.items])
        return Batches(batches.canvases, batches.seed, batches.augment, self._cache, rows)

    def _say(self, line: str) -> None:
        if self._first:
            typer.echo(line, err=True)
