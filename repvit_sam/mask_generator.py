"""Everything in a photo: a grid of points, each decoded to three masks, of which the firm and distinct ones are kept.

``SamAutomaticMaskGenerator`` has the parameters, defaults and records of segment_anything's, and gives the same masks
(tests/repvit_sam/test_mask_generator.py). It differs in how it gets there: masks that the model itself thinks poor are
dropped before they are brought to photo size, those left are brought there a few at a time, and it runs on any device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor
from torchvision.ops import nms

from .backends import Backend
from .masks import MASK_THRESHOLD, Mask, logits_in_parts, mask_box_xyxy, mask_slice, sam_bbox, stability_score
from .photo import Photo, PhotoSource, read_photo
from .predictor import SamPredictor
from .prompts import CanvasPrompts
from .rle import Rle, decode_rle, encode_rle, uncompressed_rle

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")
Progress = Callable[[int, int], None]  # points done, points in all
BoxXyxy = tuple[int, int, int, int]

_EDGE_TOLERANCE = 20.0  # pixels: a box this near to a crop's edge was probably cut by it (SAM)


@dataclass(frozen=True)
class Candidate:
    """One mask on its way through the filters, in the frame of the whole photo."""

    rle: Rle
    box_xyxy: BoxXyxy
    predicted_iou: float
    stability: float
    point_xy: tuple[float, float]
    crop_xyxy: BoxXyxy


class SamAutomaticMaskGenerator:
    """Masks of everything in a photo.

    Args:
        model: a model of this package, on any backend, or a ``Sam`` of segment_anything.
        points_per_side: points along one side of the grid, its square in all; None to give ``point_grids``.
        points_per_batch: points decoded at once; more needs more memory.
        pred_iou_thresh: keep masks that the model rates above this, 0..1. The default was chosen for ViT-H; light
            models rate lower, and 0.8 often suits them better.
        stability_score_thresh: keep masks at least this stable when the threshold moves by the offset, 0..1.
        stability_score_offset: how far it moves, in logits.
        box_nms_thresh: of two masks whose boxes overlap more than this, the better rated one stays.
        crop_n_layers: run again on crops: layer i has 4^i of them, each encoded on its own.
        crop_nms_thresh: as ``box_nms_thresh``, between crops.
        crop_overlap_ratio: share of the photo's short side by which crops of the first layer overlap.
        crop_n_points_downscale_factor: layer i has points_per_side / factor^i points a side.
        point_grids: one (N, 2) array of points in 0..1 a layer, instead of ``points_per_side``.
        min_mask_region_area: fill holes and drop islands smaller than this, in pixels.
        output_mode: "binary_mask" (arrays), "uncompressed_rle" or "coco_rle" (small).

    Raises:
        ValueError: parameters that contradict each other or are out of range.
    """

    def __init__(
        self,
        model: Sam | Backend,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.88,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[NDArray[Any]] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = "binary_mask",
    ) -> None:
        if (points_per_side is None) == (point_grids is None):
            raise ValueError("give exactly one of points_per_side and point_grids")
        if output_mode not in OUTPUT_MODES:
            raise ValueError(f"output_mode must be one of {', '.join(OUTPUT_MODES)}, got {output_mode!r}")
        if points_per_batch < 1 or crop_n_layers < 0 or crop_n_points_downscale_factor < 1:
            raise ValueError("points_per_batch and the downscale factor must be at least 1, crop_n_layers at least 0")
        if point_grids is None:
            if points_per_side is None or points_per_side < 1:
                raise ValueError(f"points_per_side must be at least 1, got {points_per_side}")
            sides = [int(points_per_side / crop_n_points_downscale_factor**layer) for layer in range(crop_n_layers + 1)]
            point_grids = [point_grid(side) for side in sides]
        if len(point_grids) != crop_n_layers + 1:
            raise ValueError(f"point_grids needs one grid a layer, {crop_n_layers + 1}, got {len(point_grids)}")
        self.predictor = SamPredictor(model)
        self.point_grids = [np.asarray(grid, dtype=np.float64).reshape(-1, 2) for grid in point_grids]
        self.points_per_batch = points_per_batch
        self.pred_iou_thresh = pred_iou_thresh
        self.stability_score_thresh = stability_score_thresh
        self.stability_score_offset = stability_score_offset
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode

    @torch.no_grad()
    def generate(self, image: PhotoSource, progress: Progress | None = None) -> list[dict[str, Any]]:
        """All masks of a photo.

        Args:
            image: whatever ``read_photo`` takes.
            progress: called with points done and points in all after every batch; an exception from it (a person's
                "cancel") ends the work.

        Returns:
            one record a mask, SA-1B's keys: segmentation, area (pixels), bbox (XYWH), predicted_iou, point_coords
            [[x, y]], stability_score, crop_box (XYWH).
        """
        photo = read_photo(image)
        layout = crop_boxes((photo.shape[0], photo.shape[1]), self.crop_n_layers, self.crop_overlap_ratio)
        # a photo of a few pixels has crops without any
        crops = [(box, layer) for box, layer in layout if box[2] > box[0] and box[3] > box[1]]
        total = sum(len(self.point_grids[layer]) for _, layer in crops)
        done = 0
        kept: list[Candidate] = []
        for crop_xyxy, layer in crops:
            found: list[Candidate] = []
            for points_done, candidates in self._crop_candidates(photo, crop_xyxy, layer):
                found += candidates
                done += points_done
                if progress:
                    progress(done, total)
            kept += _distinct(found, [c.predicted_iou for c in found], self.box_nms_thresh)
        self.predictor.reset_image()
        if len(crops) > 1:  # smaller crops see more detail
            kept = _distinct(kept, [1 / _box_area(c.crop_xyxy) for c in kept], self.crop_nms_thresh)
        if self.min_mask_region_area > 0:
            kept = _without_specks(kept, self.min_mask_region_area, max(self.box_nms_thresh, self.crop_nms_thresh))
        return [self._record(candidate) for candidate in kept]

    def _crop_candidates(self, photo: Photo, crop_xyxy: BoxXyxy, layer: int) -> Iterator[tuple[int, list[Candidate]]]:
        """(points decoded, the masks that pass) for each batch of one crop's grid."""
        x0, y0, x1, y1 = crop_xyxy
        self.predictor.set_image(np.ascontiguousarray(photo[y0:y1, x0:x1]))
        points = self.point_grids[layer] * np.array([x1 - x0, y1 - y0])
        photo_hw = (photo.shape[0], photo.shape[1])
        for start in range(0, len(points), self.points_per_batch):
            batch = points[start : start + self.points_per_batch]
            yield len(batch), self._batch_candidates(batch, crop_xyxy, photo_hw)

    def _batch_candidates(
        self, points_xy: NDArray[np.float64], crop_xyxy: BoxXyxy, photo_hw: tuple[int, int]
    ) -> list[Candidate]:
        encoded = self.predictor.encoded
        coords = encoded.fit.coords_to_canvas(points_xy)[:, None]  # (B, 1, 2)
        labels = np.ones((len(coords), 1), dtype=np.int32)
        decoded = self.predictor.backend.decode(
            encoded.image_embedding, CanvasPrompts(coords, labels), mask_slice(multimask_output=True)
        )
        low_res_logits, iou_predictions = (torch.as_tensor(array) for array in decoded)
        logits, ious = low_res_logits.flatten(0, 1), iou_predictions.flatten()  # (3B, h, w), (3B,)
        chosen = (ious > self.pred_iou_thresh).nonzero()[:, 0] if self.pred_iou_thresh > 0 else torch.arange(len(ious))
        numbers = iter(chosen.tolist())
        candidates = []
        for photo_logits in logits_in_parts(logits[chosen], encoded.fit):
            stabilities = stability_score(photo_logits, self.stability_score_offset).tolist()
            for stability, mask in zip(stabilities, photo_logits > MASK_THRESHOLD, strict=True):
                number = next(numbers)
                if self.stability_score_thresh > 0 and not stability >= self.stability_score_thresh:
                    continue
                x, y = points_xy[number // 3]
                candidate = _candidate(mask, float(ious[number]), stability, (x, y), crop_xyxy, photo_hw)
                if not _cut_by_crop(candidate.box_xyxy, crop_xyxy, photo_hw):
                    candidates.append(candidate)
        return candidates

    def _record(self, candidate: Candidate) -> dict[str, Any]:
        mask = decode_rle(candidate.rle)
        segmentations: dict[str, Callable[[], Any]] = {
            "binary_mask": lambda: mask,
            "uncompressed_rle": lambda: uncompressed_rle(mask),
            "coco_rle": lambda: candidate.rle,
        }
        return {
            "segmentation": segmentations[self.output_mode](),
            "area": int(np.count_nonzero(mask)),
            "bbox": sam_bbox(candidate.box_xyxy),
            "predicted_iou": candidate.predicted_iou,
            "point_coords": [list(candidate.point_xy)],
            "stability_score": candidate.stability,
            "crop_box": sam_bbox(candidate.crop_xyxy),
        }


def point_grid(points_per_side: int) -> NDArray[np.float64]:
    """(n*n, 2) points in 0..1, row by row, in the middle of n x n equal cells."""
    margin = 1 / (2 * points_per_side)
    along = np.linspace(margin, 1 - margin, points_per_side)
    x, y = np.meshgrid(along, along)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def crop_boxes(photo_hw: tuple[int, int], layers: int, overlap_ratio: float) -> Iterator[tuple[BoxXyxy, int]]:
    """The photo itself as layer 0, then layer i of 2^i x 2^i overlapping crops, column by column.

    Source: SAM's appendix, and equal to segment_anything.utils.amg.generate_crop_boxes.
    """
    height, width = photo_hw
    yield (0, 0, width, height), 0
    for layer in range(1, layers + 1):
        crops_a_side = 2**layer
        overlap = int(overlap_ratio * min(height, width) * (2 / crops_a_side))
        crop_width = math.ceil((overlap * (crops_a_side - 1) + width) / crops_a_side)
        crop_height = math.ceil((overlap * (crops_a_side - 1) + height) / crops_a_side)
        for column in range(crops_a_side):
            for row in range(crops_a_side):
                x0, y0 = (crop_width - overlap) * column, (crop_height - overlap) * row
                yield (x0, y0, min(x0 + crop_width, width), min(y0 + crop_height, height)), layer


def _candidate(
    mask: Tensor,
    predicted_iou: float,
    stability: float,
    point_xy: tuple[float, float],
    crop_xyxy: BoxXyxy,
    photo_hw: tuple[int, int],
) -> Candidate:
    """A mask of a crop, moved to its place in the photo."""
    left, top, right, bottom = crop_xyxy
    whole = np.zeros(photo_hw, dtype=bool)
    whole[top:bottom, left:right] = mask.cpu().numpy()
    box = mask_box_xyxy(whole)
    if not whole.any():
        box = (left, top, left, top)  # segment_anything's empty box, moved with the crop
    point = (float(point_xy[0] + left), float(point_xy[1] + top))
    return Candidate(encode_rle(whole), box, predicted_iou, stability, point, crop_xyxy)


def _cut_by_crop(box_xyxy: BoxXyxy, crop_xyxy: BoxXyxy, photo_hw: tuple[int, int]) -> bool:
    """Whether a box touches an edge of its crop that is no edge of the photo."""
    photo_xyxy = (0, 0, photo_hw[1], photo_hw[0])
    return any(
        abs(side - crop) <= _EDGE_TOLERANCE and abs(side - photo) > _EDGE_TOLERANCE
        for side, crop, photo in zip(box_xyxy, crop_xyxy, photo_xyxy, strict=True)
    )


def _distinct(candidates: list[Candidate], scores: list[float], threshold: float) -> list[Candidate]:
    """Non-maximum suppression on boxes; the best score first."""
    if not candidates:
        return []
    boxes = torch.tensor([c.box_xyxy for c in candidates], dtype=torch.float)
    keep = nms(boxes, torch.tensor(scores, dtype=torch.float), threshold)
    return [candidates[index] for index in keep.tolist()]


def _without_specks(candidates: list[Candidate], min_area: int, nms_threshold: float) -> list[Candidate]:
    """Fill small holes, drop small islands; among masks that became alike, those that needed no repair stay."""
    repaired, scores = [], []
    for candidate in candidates:
        mask, filled = _without_small(decode_rle(candidate.rle), min_area, holes=True)
        mask, dropped = _without_small(mask, min_area, holes=False)
        scores.append(0.0 if filled or dropped else 1.0)
        if filled or dropped:
            candidate = replace(candidate, rle=encode_rle(mask), box_xyxy=mask_box_xyxy(mask))
        repaired.append(candidate)
    return _distinct(repaired, scores, nms_threshold)


def _without_small(mask: Mask, min_area: int, holes: bool) -> tuple[Mask, bool]:
    """(mask without 8-connected regions under ``min_area``, whether anything changed); the largest island stays."""
    _, regions, stats, _ = cv2.connectedComponentsWithStats((mask ^ holes).astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]  # row 0 is what is not counted
    small = np.flatnonzero(areas < min_area) + 1
    if not small.size:
        return mask, False
    if holes:
        return mask | np.isin(regions, small), True
    large = np.flatnonzero(areas >= min_area) + 1
    return np.isin(regions, large if large.size else [int(areas.argmax()) + 1]), True


def _box_area(box_xyxy: BoxXyxy) -> int:
    x0, y0, x1, y1 = box_xyxy
    return (x1 - x0) * (y1 - y0)
