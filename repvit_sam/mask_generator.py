"""Masks of everything in a photo: a grid of points, three masks for each, of which the stable and distinct ones stay.

``SamAutomaticMaskGenerator`` has the parameters, defaults and records of segment_anything's, and gives the same masks
(tests/repvit_sam/test_mask_generator.py). It differs in how it works: masks that the model itself rates low are dropped
before they are resized to the photo, the others are resized a few at a time, and it runs on any device and backend.
Filtering is done by torch on the CPU, so torch must be installed for an ONNX model, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.utils.amg import generate_crop_boxes, remove_small_regions
from torch import Tensor
from torchvision.ops import box_area, nms

from .backends import Backend
from .masks import MASK_THRESHOLD, Mask, logits_in_parts, mask_box_xyxy, mask_slice, sam_bbox, stability_score
from .photo import Photo, PhotoSource, read_photo
from .predictor import SamPredictor
from .prompts import CanvasPrompts
from .rle import Rle, decode_rle, encode_rle, uncompressed_rle

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")
Progress = Callable[[int, int], None]  # points done, points in all
BoxXyxy = tuple[int, int, int, int]

_EDGE_TOLERANCE = 20.0  # pixels: a box this close to a crop's edge was probably cut by it (as in segment_anything)


@dataclass(frozen=True)
class Candidate:
    """A mask that passed the thresholds; all coordinates are pixels of the whole photo."""

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

    Example:
        >>> import repvit_sam
        >>> model = repvit_sam.load("small", device="cpu", canvas=512)
        >>> generator = repvit_sam.SamAutomaticMaskGenerator(model, points_per_side=4, pred_iou_thresh=0.8)
        >>> records = generator.generate(repvit_sam.example_photo("coffee"))
        >>> sorted(records[0])
        ['area', 'bbox', 'crop_box', 'point_coords', 'predicted_iou', 'segmentation', 'stability_score']
        >>> records[0]["segmentation"].shape, records[0]["segmentation"].dtype
        ((400, 600), dtype('bool'))
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
        if output_mode not in OUTPUT_MODES:
            raise ValueError(f"output_mode must be one of {', '.join(OUTPUT_MODES)}, got {output_mode!r}")
        if points_per_batch < 1:
            raise ValueError(f"points_per_batch must be at least 1, got {points_per_batch}")
        self.point_grids = _point_grids(points_per_side, point_grids, crop_n_layers, crop_n_points_downscale_factor)
        self.predictor = SamPredictor(model)
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
            progress: called with points done and points in all after every batch; an exception raised in it ends the
                work (for a "cancel" button).

        Returns:
            one record for each mask, with SA-1B's keys: segmentation, area (pixels), bbox (x, y, width, height as
            segment_anything counts them: one less than COCO's), predicted_iou, point_coords [[x, y]], stability_score,
            crop_box (x, y, width, height). Coordinates are pixels of the photo.

        Raises:
            PhotoError: the image cannot be read.
        """
        photo = read_photo(image)
        photo_hw = (photo.shape[0], photo.shape[1])
        boxes, layers = generate_crop_boxes(photo_hw, self.crop_n_layers, self.crop_overlap_ratio)
        # a photo of a few pixels has crops without any
        crops = [(tuple(box), n) for box, n in zip(boxes, layers, strict=True) if box[2] > box[0] and box[3] > box[1]]
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
            kept += _distinct(found, torch.tensor([c.predicted_iou for c in found]), self.box_nms_thresh)
        self.predictor.reset_image()
        if len(crops) > 1:  # smaller crops show more detail, so their masks win
            crop_areas = box_area(torch.tensor([c.crop_xyxy for c in kept]).reshape(-1, 4))
            kept = _distinct(kept, 1 / crop_areas, self.crop_nms_thresh)
        if self.min_mask_region_area > 0:
            nms_threshold = max(self.box_nms_thresh, self.crop_nms_thresh)
            kept = _without_small_regions(kept, self.min_mask_region_area, nms_threshold)
        return [self._record(candidate) for candidate in kept]

    def _crop_candidates(self, photo: Photo, crop_xyxy: BoxXyxy, layer: int) -> Iterator[tuple[int, list[Candidate]]]:
        """For each batch of one crop's grid: how many points were decoded, and the masks that pass."""
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
                whole, box_xyxy = _on_photo(mask, crop_xyxy, photo_hw)
                if not _cut_by_crop(box_xyxy, crop_xyxy, photo_hw):
                    point = (float(x + crop_xyxy[0]), float(y + crop_xyxy[1]))
                    iou = float(ious[number])
                    candidates.append(Candidate(encode_rle(whole), box_xyxy, iou, stability, point, crop_xyxy))
        return candidates

    def _record(self, candidate: Candidate) -> dict[str, Any]:
        mask = decode_rle(candidate.rle)
        segmentations: dict[str, Callable[[], Any]] = {
            "binary_mask": lambda: mask,
            "uncompressed_rle": lambda: uncompressed_rle(candidate.rle),
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


def _point_grids(
    points_per_side: int | None, point_grids: Sequence[NDArray[Any]] | None, crop_n_layers: int, factor: int
) -> list[NDArray[np.float64]]:
    """One (N, 2) grid of points in 0..1 for the photo and for each layer of crops."""
    if (points_per_side is None) == (point_grids is None):
        raise ValueError("give exactly one of points_per_side and point_grids")
    if crop_n_layers < 0 or factor < 1:
        raise ValueError(
            "crop_n_layers must be at least 0 and crop_n_points_downscale_factor at least 1, "
            f"got {crop_n_layers} and {factor}"
        )
    if points_per_side is not None:
        if points_per_side < 1:
            raise ValueError(f"points_per_side must be at least 1, got {points_per_side}")
        return [point_grid(int(points_per_side / factor**layer)) for layer in range(crop_n_layers + 1)]
    grids = [np.asarray(grid, dtype=np.float64).reshape(-1, 2) for grid in point_grids or ()]
    if len(grids) != crop_n_layers + 1:
        raise ValueError(
            f"point_grids must have one grid for the photo and one for each crop layer, {crop_n_layers + 1}, "
            f"got {len(grids)}"
        )
    return grids


def _on_photo(mask: Tensor, crop_xyxy: BoxXyxy, photo_hw: tuple[int, int]) -> tuple[Mask, BoxXyxy]:
    """A mask of a crop, and its box -> the same in the whole photo."""
    left, top, right, bottom = crop_xyxy
    in_crop = mask.cpu().numpy()
    whole = np.zeros(photo_hw, dtype=bool)
    whole[top:bottom, left:right] = in_crop
    x0, y0, x1, y1 = mask_box_xyxy(in_crop)
    return whole, (x0 + left, y0 + top, x1 + left, y1 + top)


def _cut_by_crop(box_xyxy: BoxXyxy, crop_xyxy: BoxXyxy, photo_hw: tuple[int, int]) -> bool:
    """Whether a box touches an edge of its crop that is no edge of the photo."""
    photo_xyxy = (0, 0, photo_hw[1], photo_hw[0])
    return any(
        abs(side - crop) <= _EDGE_TOLERANCE and abs(side - photo) > _EDGE_TOLERANCE
        for side, crop, photo in zip(box_xyxy, crop_xyxy, photo_xyxy, strict=True)
    )


def _distinct(candidates: list[Candidate], scores: Tensor, threshold: float) -> list[Candidate]:
    """Non-maximum suppression on boxes; the highest score first."""
    boxes = torch.tensor([c.box_xyxy for c in candidates], dtype=torch.float).reshape(-1, 4)
    return [candidates[index] for index in nms(boxes, scores.float(), threshold).tolist()]


def _without_small_regions(candidates: list[Candidate], min_area: int, nms_threshold: float) -> list[Candidate]:
    """Fill small holes and drop small islands; of masks that are now alike, those that were not changed stay."""
    cleaned, scores = [], []
    for candidate in candidates:
        mask, filled = remove_small_regions(decode_rle(candidate.rle), min_area, mode="holes")
        mask, dropped = remove_small_regions(mask, min_area, mode="islands")
        scores.append(0.0 if filled or dropped else 1.0)
        if filled or dropped:
            candidate = replace(candidate, rle=encode_rle(mask), box_xyxy=mask_box_xyxy(mask))
        cleaned.append(candidate)
    return _distinct(cleaned, torch.tensor(scores), nms_threshold)
