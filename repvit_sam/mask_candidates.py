"""Masks that everything mode found, before the last choice among them: what is kept of each, and which are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.utils.amg import remove_small_regions
from torch import Tensor
from torchvision.ops import nms

from .canvas import CanvasFit
from .masks import MASK_THRESHOLD, mask_box_xyxy, object_logits
from .rle import Rle, decode_rle, encode_rle, encode_rle_of_part

BoxXyxy = tuple[int, int, int, int]

_EDGE_TOLERANCE = 20.0  # pixels: a box this close to a crop's edge was probably cut by it (as in segment_anything)


@dataclass(frozen=True)
class Candidate:
    """A mask that passed the thresholds; all coordinates are pixels of the whole photo."""

    rle: Rle
    area: int
    box_xyxy: BoxXyxy
    predicted_iou: float
    stability: float
    point_xy: tuple[float, float]
    crop_xyxy: BoxXyxy


@dataclass(frozen=True)
class CropView:
    """A crop of a photo while points on it are decoded.

    Attributes:
        crop_xyxy: where it lies in the photo.
        photo_hw: of the whole photo.
        fit: the crop's place on the canvas.
    """

    crop_xyxy: BoxXyxy
    photo_hw: tuple[int, int]
    fit: CanvasFit

    def candidate(
        self,
        low_res_logits: Tensor | NDArray[np.float32],
        predicted_iou: float,
        point_xy: Sequence[float],
        offset: float,
        least_stability: float,
    ) -> Candidate | None:
        """One mask at photo size; None if it is not stable enough, or was cut by the crop.

        Args:
            low_res_logits: (S/4, S/4), on the CPU.
            point_xy: in pixels of the crop.
            offset, least_stability: see ``SamAutomaticMaskGenerator``.
        """
        found = object_logits(low_res_logits, self.fit, MASK_THRESHOLD - offset)
        inside = int(np.count_nonzero(found.logits > MASK_THRESHOLD + offset))
        around = int(np.count_nonzero(found.logits > MASK_THRESHOLD - offset))
        stability = inside / max(around, 1)
        if least_stability > 0 and not stability >= least_stability:
            return None
        part = found.logits > MASK_THRESHOLD
        left, top, *_ = self.crop_xyxy
        rows, columns = top + found.rows.start, left + found.columns.start
        x0, y0, x1, y1 = mask_box_xyxy(part)
        box_xyxy = (x0 + columns, y0 + rows, x1 + columns, y1 + rows)
        if self._cuts(box_xyxy):
            return None
        return Candidate(
            encode_rle_of_part(part, rows, columns, self.photo_hw),
            int(np.count_nonzero(part)),
            box_xyxy,
            predicted_iou,
            stability,
            (float(point_xy[0] + left), float(point_xy[1] + top)),
            self.crop_xyxy,
        )

    def _cuts(self, box_xyxy: BoxXyxy) -> bool:
        """Whether a box touches an edge of the crop that is no edge of the photo."""
        photo_xyxy = (0, 0, self.photo_hw[1], self.photo_hw[0])
        return any(
            abs(side - crop) <= _EDGE_TOLERANCE and abs(side - photo) > _EDGE_TOLERANCE
            for side, crop, photo in zip(box_xyxy, self.crop_xyxy, photo_xyxy, strict=True)
        )


def distinct(candidates: list[Candidate], scores: Tensor, threshold: float) -> list[Candidate]:
    """Non-maximum suppression on boxes; the highest score first."""
    boxes = torch.tensor([c.box_xyxy for c in candidates], dtype=torch.float).reshape(-1, 4)
    return [candidates[index] for index in nms(boxes, scores.float(), threshold).tolist()]


def without_small_regions(candidates: list[Candidate], min_area: int, nms_threshold: float) -> list[Candidate]:
    """Fill small holes and drop small islands; of masks that are now alike, those that were not changed stay."""
    cleaned, scores = [], []
    for candidate in candidates:
        mask, filled = remove_small_regions(decode_rle(candidate.rle), min_area, mode="holes")
        mask, dropped = remove_small_regions(mask, min_area, mode="islands")
        scores.append(0.0 if filled or dropped else 1.0)
        if filled or dropped:
            area = int(np.count_nonzero(mask))
            candidate = replace(candidate, rle=encode_rle(mask), area=area, box_xyxy=mask_box_xyxy(mask))
        cleaned.append(candidate)
    return distinct(cleaned, torch.tensor(scores), nms_threshold)
