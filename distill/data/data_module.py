"""The data of a run: for each stage of its recipe a loader to train on, and one to measure on."""

from __future__ import annotations

from itertools import count

import torch
import typer

from repvit_sam.modeling.sam import SamModel

from ..progress import ProgressBar
from ..recipe import AugmentConfig, DataConfig, Recipe, Stage, TeacherConfig
from .dataset import CanvasDataset, DiskDataset, MemoryDataset
from .embedding_cache import EmbeddingCache, Manifest
from .loader import BatchLoader
from .photo_set import PhotoItem, PhotoSet
from .sources import read_sources
from .split import split_photos
from .teacher_targets import CachedTargets, OnlineTargets, Targets

_WORKERS_FOR_HELD_OUT = 2


class DataModule:
    """See the module. All photos are found, and the cache is opened, before anything is computed.

    Raises:
        RecipeError: a stage without photos, or without masks where it needs them.
        CacheError, ValueError: a cache or a source that cannot be used.
    """

    def __init__(self, recipe: Recipe, teacher: SamModel, device: torch.device, first_rank: bool) -> None:
        self._recipe, self._teacher, self._device, self._first_rank = recipe, teacher, device, first_rank
        self._cache = _open_cache(recipe.teacher, teacher)
        unreadable = self._cache.skipped_names() if self._cache else set()
        shared = self._read(recipe.data)
        self._photos = [shared if stage.data is None else self._read(stage.data) for stage in recipe.stages]
        self._splits = [
            split_photos(photos, self._data(stage), stage, number, unreadable)
            for number, (photos, stage) in enumerate(zip(self._photos, recipe.stages, strict=True), start=1)
        ]
        self._last_dataset: tuple[object, CanvasDataset] | None = None

    def manifest(self) -> dict[str, object]:
        """What identifies the photos of all stages."""
        return {f"stage {number}": photos.manifest() for number, photos in enumerate(self._photos, start=1)}

    def loader(self, stage_index: int, seed: int) -> BatchLoader:
        """What a stage trains on."""
        stage = self._recipe.stages[stage_index]
        dataset = self._dataset(self._splits[stage_index].train, stage)
        targets = self._targets(dataset.items) if stage.needs_teacher else None
        return BatchLoader(dataset, self._device, seed, stage.augment, targets)

    def held_out_loader(self, stage_index: int) -> BatchLoader | None:
        """Photos kept out, unchanged, read as needed; None where there are none."""
        items = self._splits[stage_index].held_out
        if not items or not self._recipe.stages[stage_index].needs_teacher:
            return None
        dataset = DiskDataset(items, self._recipe.canvas, _WORKERS_FOR_HELD_OUT, with_masks=False)
        return BatchLoader(dataset, self._device, 0, AugmentConfig(), self._targets(items))

    def _data(self, stage: Stage) -> DataConfig:
        return stage.data or self._recipe.data

    def _read(self, data: DataConfig) -> PhotoSet:
        photos = read_sources(data.sources).limited(data.limit)
        for name in photos.incomplete:
            self._say(f"left out: {name}")
        return photos

    def _targets(self, items: list[PhotoItem]) -> Targets:
        if self._cache is None:
            return OnlineTargets(self._teacher, self._recipe.teacher.precision)
        return CachedTargets.of(self._cache, [item.name for item in items])

    def _dataset(self, items: list[PhotoItem], stage: Stage) -> CanvasDataset:
        """That of the stage before, where it had the same photos."""
        data, with_masks = self._data(stage), stage.reads_masks
        key = ([item.name for item in items], with_masks, data.in_memory)
        if self._last_dataset is None or self._last_dataset[0] != key:
            self._last_dataset = None  # frees the memory before the next photos are read
            open_dataset = self._read_into_memory if data.in_memory else self._open_on_disk
            self._last_dataset = key, open_dataset(items, data.workers, with_masks)
        return self._last_dataset[1]

    def _read_into_memory(self, items: list[PhotoItem], workers: int, with_masks: bool) -> CanvasDataset:
        with ProgressBar("reading photos", len(items), silent=not self._first_rank) as bar:
            done = count(1)
            dataset = MemoryDataset(
                items, self._recipe.canvas, self._device, workers, with_masks, lambda: bar.advance(next(done), 1)
            )
        for message in dataset.skipped:
            self._say(f"skipped: {message}")
        return dataset

    def _open_on_disk(self, items: list[PhotoItem], workers: int, with_masks: bool) -> CanvasDataset:
        return DiskDataset(
            items, self._recipe.canvas, workers, with_masks, lambda message: self._say(f"skipped: {message}")
        )

    def _say(self, line: str) -> None:
        if self._first_rank:
            typer.echo(line, err=True)


def _open_cache(config: TeacherConfig, teacher: SamModel) -> EmbeddingCache | None:
    if config.cache is None:
        return None
    cache = EmbeddingCache(config.cache)
    cache.manifest.check_same(Manifest.of(teacher, config.checkpoint, ""), config.cache)
    return cache
