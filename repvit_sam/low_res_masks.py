"""Fast everything mode's masks while they are found: measured and compared on the grid of low-resolution logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import masks_to_boxes, nms

from .canvas import LOGITS_STRIDE, CanvasFit
from .masks import MASK_THRESHOLD, stability_score
from .point_plan import FoundArea

_LARGEST_OBJECT = 0.5  # of the photo: a larger mask is the background, or all things together


class LowResMasks:
    """The distinct and stable masks among all that were added.

    At most a few hundred remain, 256 KB each, whatever the size of the photo.

    Args:
        fit: the photo's place on the canvas.
        offset, least_stability, nms_threshold: see ``SamAutomaticMaskGenerator``.
    """

    def __init__(self, fit: CanvasFit, offset: float, least_stability: float, nms_threshold: float) -> None:
        self._offset, self._least_stability, self._nms_threshold = offset, least_stability, nms_threshold
        # the rest of the canvas shows no photo
        self._height, self._width = (-(-side // LOGITS_STRIDE) for side in fit.content_hw)
        self._found = FoundArea(fit)
        side = fit.canvas_size // LOGITS_STRIDE
        self._logits, self._boxes = torch.zeros(0, side, side), torch.zeros(0, 4)
        self._ious, self._points = torch.zeros(0), torch.zeros(0, 2, dtype=torch.float64)

    def holds(self, points_xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each of (N, 2) points, in pixels of the photo, lies in a mask that is no background."""
        return self._found.holds(points_xy)

    def add(self, low_res_logits: Any, ious: list[float], points_xy: NDArray[np.float64]) -> None:
        """Add K masks (K, S/4, S/4), rated highly enough, with the point (K, 2) of each."""
        logits: Tensor = torch.as_tensor(low_res_logits)
        content = logits[:, : self._height, : self._width]
        stable = stability_score(content, self._offset) >= self._least_stability
        masks = content > MASK_THRESHOLD
        stable &= masks.flatten(1).any(1)
        if not stable.any():
            return
        logits, masks = logits[stable].cpu(), masks[stable]
        for mask in masks.cpu().numpy():
            if mask.mean() <= _LARGEST_OBJECT:
                self._found.add(mask)
        self._logits = torch.cat([self._logits, logits])
        self._boxes = torch.cat([self._boxes, masks_to_boxes(masks).cpu()])
        self._ious = torch.cat([self._ious, torch.tensor(ious)[stable.cpu()]])
        self._points = torch.cat([self._points, torch.from_numpy(points_xy)[stable.cpu()]])
        self._keep(nms(self._boxes, self._ious, self._nms_threshold))

    def masks(self) -> Iterator[tuple[Tensor, float, list[float]]]:
        """Low-resolution logits, predicted IoU and point of each mask, the best rated first."""
        for logits, iou, point in zip(self._logits, self._ious, self._points, strict=True):
            yield logits, float(iou), point.tolist()

    def _keep(self, rows: Tensor) -> None:
        self._logits, self._boxes = self._logits[rows], self._boxes[rows]
        self._ious, self._points = self._ious[rows], self._points[rows]
