"""Bilinear resizing of logits (no aligned corners, no antialiasing): by torch for tensors, the same in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Logits = TypeVar("Logits", "Tensor", NDArray[np.float32])


def resize_logits(logits: Logits, size_hw: tuple[int, int]) -> Logits:
    """(B, C, h, w) -> (B, C, H, W). NumPy arrays get the result of torch's ``F.interpolate``, up to rounding.

    The difference is 1e-6 of the range where torch uses AVX-512, else 2e-5, as its positions differ in their last bit.

    ``cv2.resize`` will not do: it computes positions more finely than torch's float32, and so other pixels cross the
    threshold.
    """
    if not isinstance(logits, np.ndarray):
        from torch.nn import functional as F

        return F.interpolate(logits, size_hw, mode="bilinear", align_corners=False)
    above, below, down = neighbours(logits.shape[2], size_hw[0])
    left, right, across = neighbours(logits.shape[3], size_hw[1])
    columns: NDArray[np.float32] = (
        logits.take(left, axis=3) * (1 - across) + logits.take(right, axis=3) * across
    )  # (B, C, h, W)
    down = down[:, None]
    resized: NDArray[np.float32] = columns.take(above, axis=2) * (1 - down) + columns.take(below, axis=2) * down
    return resized


def neighbours(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each new position along one side: the two old positions around it, and its distance to the first, 0..1."""
    # as torch with AVX-512: a position is rounded once, after a fused multiply-add
    scale = np.float64(np.float32(old) / np.float32(new))
    position = np.maximum(scale * (np.arange(new) + 0.5) - 0.5, 0).astype(np.float32)
    first = np.minimum(position.astype(np.intp), old - 1)
    second = np.minimum(first + 1, old - 1)
    return first, second, np.clip(position - first.astype(np.float32), 0, 1).astype(np.float32)
