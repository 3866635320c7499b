"""The job of annotate: the key is a shard's number, the record what was made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ..jobs.overlap import OverlapThreads
from ..jobs.records import Record
from .config import Making
from .forms.choice import find_form
from .masks import MaskMaker
from .plan import Plan
from .shard import ShardFolders, make_shard
from .sources.files import ImageReader


@dataclass(frozen=True)
class AnnotateJob:
    """Makes shards of a plan.

    Attributes:
        keys: the shards that are still to be made.
    """

    plan: Plan
    making: Making
    folders: ShardFolders
    keys: Sequence[int]

    def start(self) -> Callable[[int], Record]:
        """Load the model."""
        torch.set_num_threads(self.making.threads)
        making, form = self.making, find_form(self.making.form)
        maker = MaskMaker(making.model, making.everything, making.min_score, making.most_boxes)
        reader, threads = ImageReader(), OverlapThreads()

        def make(shard: int) -> Record:
            images = self.plan.shard(shard)
            return make_shard(shard, images, form, maker.masks_of, self.folders, making.max_pixels, reader, threads)

        return make
