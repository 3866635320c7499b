"""Which photo comes when, and all randomness about it: functions of the seed and the position alone.

Position p is the p-th photo of a stage, over all steps and ranks. Nothing depends on how many ranks share the work or
on what was drawn before, so a run that continues, or one on more machines, sees the same photos under the same views.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def photo_at(position: int, count: int, seed: int) -> int:
    """The index of the photo: every pass over the photos has an order of its own."""
    epoch, place = divmod(position, count)
    return int(_permutation(count, seed, epoch)[place])


def rng_at(position: int, seed: int) -> np.random.Generator:
    """The generator of everything random about this photo at this position."""
    return np.random.default_rng((seed, position, 1))


def positions_of(step: int, batch: int, accumulate: int, rank: int, world: int) -> list[int]:
    """The positions that a rank works on in a step, one share after the other for each part of the accumulation."""
    share = batch // (accumulate * world)
    first = step * batch
    return [first + (part * world + rank) * share + place for part in range(accumulate) for place in range(share)]


@lru_cache(maxsize=4)
def _permutation(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch, 0)).permutation(count)
