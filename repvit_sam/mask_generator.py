"""Masks of everything in a photo: a grid of points, three masks for each, of which the stable and distinct ones stay.

``SamAutomaticMaskGenerator`` has the parameters and records of segment_anything's. ``mode="exact"`` gives the same
masks with the same thresholds in float32 (tests/repvit_sam/test_mask_generator.py): masks that the model itself rates
low are never computed, the others only where they are object. ``mode="fast"`` decodes fewer points (point_plan.py) and
chooses among masks at low resolution (low_res_masks.py). Both run on any device and backend; torch must be installed
for an ONNX model, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.utils.amg import generate_crop_boxes
from torchvision.ops import box_area

from .backends import Backend
from .canvas import EMBEDDING_STRIDE, CanvasFit
from .embedding import as_numpy, on_cpu
from .everything_thresholds import thresholds_of
from .low_res_masks import LowResMasks
from .mask_candidates import Candidate, CropView, distinct, without_small_regions
from .masks import mask_slice, sam_bbox
from .photo import PhotoSource, read_photo
from .point_plan import PointPlan, points_in_plan
from .predictor import SamPredictor
from .prompts import CanvasPrompts
from .rle import decode_rle, uncompressed_rle

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

MODES = ("fast", "exact")
OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")
Progress = Callable[[int, int], None]  # points done, points in all


class SamAutomaticMaskGenerator:
    """Masks of everything in a photo.

    Args:
        model: a model of this package, on any backend, or a ``Sam`` of segment_anything.
        points_per_side: points along one side of the grid, its square in all; None to give ``point_grids``.
        points_per_batch: points decoded at once; more needs more memory.
        pred_iou_thresh: keep masks that the model rates above this, 0..1. None takes the checkpoint's own, as light
            models rate lower than ViT-H, for which SAM's 0.88 was chosen (everything_thresholds.py).
        stability_score_thresh: keep masks at least this stable when the threshold moves by the offset, 0..1. None
            takes the checkpoint's own, else SAM's 0.95.
        stability_score_offset: how far it moves, in logits.
        box_nms_thresh: of two masks whose boxes overlap more than this, the better rated one stays.
        crop_n_layers: run again on crops: layer i has 4^i of them, each encoded on its own.
        crop_nms_thresh: as ``box_nms_thresh``, between crops.
        crop_overlap_ratio: share of the photo's short side by which crops of the first layer overlap.
        crop_n_points_downscale_factor: layer i has points_per_side / factor^i points a side.
        point_grids: one (N, 2) array of points in 0..1 a layer, instead of ``points_per_side``.
        min_mask_region_area: fill holes and drop islands smaller than this, in pixels.
        output_mode: "binary_mask" (arrays), "uncompressed_rle" or "coco_rle" (small).
        mode: "fast" decodes a quarter of the grid, at least 64 points: those that look least alike (point_plan.py);
            "exact" decodes all, and gives segment_anything's masks if the thresholds are the same and the precision is
            fp32. Own ``point_grids`` are decoded whole.

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
        pred_iou_thresh: float | None = None,
        stability_score_thresh: float | None = None,
        stability_score_offset: float = 1.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[NDArray[Any]] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = "binary_mask",
        *,
        mode: str = "fast",
    ) -> None:
        if output_mode not in OUTPUT_MODES:
            raise ValueError(f"output_mode must be one of {', '.join(OUTPUT_MODES)}, got {output_mode!r}")
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        if points_per_batch < 1:
            raise ValueError(f"points_per_batch must be at least 1, got {points_per_batch}")
        self.point_grids = _point_grids(points_per_side, point_grids, crop_n_layers, crop_n_points_downscale_factor)
        self.predictor = SamPredictor(model)
        self.points_per_batch = points_per_batch
        own = thresholds_of(self.predictor.model)
        self.pred_iou_thresh = own.pred_iou_thresh if pred_iou_thresh is None else pred_iou_thresh
        self.stability_score_thresh = (
            own.stability_score_thresh if stability_score_thresh is None else stability_score_thresh
        )
        self.stability_score_offset = stability_score_offset
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode
        self.mode = mode
        self._regular_grid = points_per_side is not None

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
        total = sum(self._points_decoded(layer) for _, layer in crops)
        done = 0
        kept: list[Candidate] = []
        for crop_xyxy, layer in crops:
            x0, y0, x1, y1 = crop_xyxy
            self.predictor.set_image(np.ascontiguousarray(photo[y0:y1, x0:x1]))
            crop = CropView(crop_xyxy, photo_hw, self.predictor.encoded.fit)
            find = self._find_exact if self.mode == "exact" else self._find_fast
            found: list[Candidate] = []
            for points_done, candidates in find(crop, layer):
                found += candidates
                done += points_done
                if progress and points_done:
                    progress(done, total)
            kept += distinct(found, torch.tensor([c.predicted_iou for c in found]), self.box_nms_thresh)
        self.predictor.reset_image()
        if len(crops) > 1:  # smaller crops show more detail, so their masks win
            crop_areas = box_area(torch.tensor([c.crop_xyxy for c in kept]).reshape(-1, 4))
            kept = distinct(kept, 1 / crop_areas, self.crop_nms_thresh)
        if self.min_mask_region_area > 0:
            nms_threshold = max(self.box_nms_thresh, self.crop_nms_thresh)
            kept = without_small_regions(kept, self.min_mask_region_area, nms_threshold)
        return [self._record(candidate) for candidate in kept]

    def _find_exact(self, crop: CropView, layer: int) -> Iterator[tuple[int, list[Candidate]]]:
        """For each batch of the grid: how many points it has, and the masks that pass, measured at photo size."""
        points = self._points(crop, layer)
        for chosen in self._all_batches(points):
            batch = points[chosen]
            logits, ious, numbers = self._decode(batch)
            found = [
                crop.candidate(one, iou, point, self.stability_score_offset, self.stability_score_thresh)
                for one, iou, point in zip(on_cpu(logits), ious, batch[numbers], strict=True)
            ]
            yield len(batch), [candidate for candidate in found if candidate]

    def _find_fast(self, crop: CropView, layer: int) -> Iterator[tuple[int, list[Candidate]]]:
        """As ``_find_exact``, with fewer points and measured at low resolution; masks come with the last batch."""
        points = self._points(crop, layer)
        found = LowResMasks(crop.fit, self.stability_score_offset, self.stability_score_thresh, self.box_nms_thresh)
        for chosen in self._fast_batches(points, crop.fit, found):
            logits, ious, numbers = self._decode(points[chosen])
            found.add(logits, ious, points[chosen][numbers])
            yield len(chosen), []
        at_photo_size = (
            crop.candidate(logits, iou, point, self.stability_score_offset, 0) for logits, iou, point in found.masks()
        )
        # on a small photo a mask may lie between its pixels
        yield 0, [candidate for candidate in at_photo_size if candidate and candidate.area]

    def _points_decoded(self, layer: int) -> int:
        points = len(self.point_grids[layer])
        return points_in_plan(math.isqrt(points)) if self.mode == "fast" and self._regular_grid else points

    def _all_batches(self, points: NDArray[np.float64]) -> Iterator[NDArray[np.intp]]:
        """Indices of all points, some at a time."""
        for start in range(0, len(points), self.points_per_batch):
            yield np.arange(start, min(start + self.points_per_batch, len(points)))

    def _fast_batches(
        self, points: NDArray[np.float64], fit: CanvasFit, found: LowResMasks
    ) -> Iterator[NDArray[np.intp]]:
        """Which points are decoded together, while ``found`` fills up."""
        if not self._regular_grid:
            yield from self._all_batches(points)
            return
        embedding = as_numpy(self.predictor.encoded.image_embedding)[0]
        columns, rows = (fit.coords_to_canvas(points) // EMBEDDING_STRIDE).astype(np.intp).T
        plan = PointPlan(math.isqrt(len(points)), embedding[:, rows, columns].T)
        while len(chosen := plan.next(self.points_per_batch, found.holds(points))):
            yield chosen

    def _points(self, crop: CropView, layer: int) -> NDArray[np.float64]:
        """The grid in pixels of the crop."""
        x0, y0, x1, y1 = crop.crop_xyxy
        return self.point_grids[layer] * np.array([x1 - x0, y1 - y0])

    def _decode(self, points_xy: NDArray[np.float64]) -> tuple[Any, list[float], NDArray[np.intp]]:
        """Logits (K, S/4, S/4) of the masks rated above the threshold, their predicted IoU, and each one's point."""
        encoded = self.predictor.encoded
        coords = encoded.fit.coords_to_canvas(points_xy)[:, None]  # (B, 1, 2)
        labels = np.ones((len(coords), 1), dtype=np.int32)
        min_iou = self.pred_iou_thresh if self.pred_iou_thresh > 0 else -math.inf
        logits, iou_predictions = self.predictor.backend.decode_confident(
            encoded.image_embedding, CanvasPrompts(coords, labels), mask_slice(multimask_output=True), min_iou
        )
        ious = as_numpy(iou_predictions)
        numbers, _ = wanted = np.nonzero(ious > min_iou)
        return logits, ious[wanted].tolist(), numbers

    def _record(self, candidate: Candidate) -> dict[str, Any]:
        segmentations: dict[str, Callable[[], Any]] = {
            "binary_mask": lambda: decode_rle(candidate.rle),
            "uncompressed_rle": lambda: uncompressed_rle(candidate.rle),
            "coco_rle": lambda: candidate.rle,
        }
        return {
            "segmentation": segmentations[self.output_mode](),
            "area": candidate.area,
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
        if points_per_side < factor**crop_n_layers:
            raise ValueError(
                "points_per_side must be at least crop_n_points_downscale_factor ** crop_n_layers, "
                f"{factor**crop_n_layers}, so that every layer has a point, got {points_per_side}"
            )
        return [point_grid(int(points_per_side / factor**layer)) for layer in range(crop_n_layers + 1)]
    grids = [np.asarray(grid, dtype=np.float64).reshape(-1, 2) for grid in point_grids or ()]
    if len(grids) != crop_n_layers + 1:
        raise ValueError(
            f"point_grids must have one grid for the photo and one for each crop layer, {crop_n_layers + 1}, "
            f"got {len(grids)}"
        )
    return grids
