"""Objects of the classes that were labelled before, proposed on a photo that is not labelled yet.

The image embedding has 256 numbers for each cell of 16 x 16 canvas pixels. Weighted ridge regression from the cells of
labelled photos to "belongs to the class" takes milliseconds and a few photos. Where it says yes on a new photo, points
are set, and the decoder makes masks of them: of each point's three, the one that agrees most with the regression.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from repvit_sam.backends import Backend
from repvit_sam.canvas import LOGITS_STRIDE, CanvasFit
from repvit_sam.embedding import EncodedPhoto, as_numpy, on_cpu
from repvit_sam.masks import MASK_THRESHOLD, Mask, mask_at_photo_size
from repvit_sam.prompts import CanvasPrompts

_STRIDE = 16  # canvas pixels of a cell
_RIDGE = 1e-2  # of the mean of the diagonal
_BELONGS = 0.5  # the regression is trained towards 0 and 1
_MAX_POINTS = 48
_APART = 5  # cells: the window in which a point is the highest
_MIN_AGREEMENT = 0.4  # between a mask and the regression, see ``_agreement``
_MAX_OVERLAP = 0.5  # IoU with a mask that agrees more
_AT_ONCE = 16  # prompts of one decoding

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class CellSums:
    """What the regression needs of a photo. Sums of photos are sums of their sums.

    Attributes:
        count: cells, or of a class the cells' shares that it covers.
        features: (D,) sum of the cells' features.
        products: (D, D) sum of their outer products.
    """

    count: float
    features: NDArray[np.float64]
    products: NDArray[np.float64]

    def __add__(self, other: CellSums) -> CellSums:
        return CellSums(self.count + other.count, self.features + other.features, self.products + other.products)


@dataclass(frozen=True)
class PhotoSums:
    """Of all cells of a photo, and of those of each class, by its id."""

    all_cells: CellSums
    of_class: Mapping[Any, CellSums]


@dataclass(frozen=True)
class Proposal:
    """A mask (H, W), the class that it may be of, the model's own rating, and its agreement with the regression."""

    category: Any
    mask: Mask
    predicted_iou: float
    score: float
    point_xy: tuple[float, float]


def photo_sums(encoded: EncodedPhoto, objects: Iterable[tuple[Any, Mask]]) -> PhotoSums:
    """What a labelled photo teaches.

    Args:
        objects: class id and mask (H, W) of each.
    """
    cells = _features(encoded)
    flat = cells.reshape(-1, cells.shape[-1])
    covers: dict[Any, Floats] = {}
    for category, mask in objects:
        small = cv2.resize(mask.astype(np.float32), (cells.shape[1], cells.shape[0]), interpolation=cv2.INTER_AREA)
        covers[category] = np.maximum(covers.get(category, np.zeros_like(small)), small)
    return PhotoSums(
        _sums(flat, np.ones(len(flat), dtype=np.float32)),
        {category: _sums(flat, cover.ravel()) for category, cover in covers.items()},
    )


def class_weights(photos: Sequence[PhotoSums]) -> dict[Any, Floats]:
    """Regression weights (D,) for each class; a class counts as much as all that is not of it."""
    total = photos[0].all_cells
    for photo in photos[1:]:
        total = total + photo.all_cells
    of_class: dict[Any, CellSums] = {}
    for photo in photos:
        for category, sums in photo.of_class.items():
            of_class[category] = of_class[category] + sums if category in of_class else sums
    weights = {}
    for category, own in of_class.items():
        if not 0 < own.count < total.count:
            continue
        share = (total.count - own.count) / own.count
        products = total.products + (share - 1) * own.products
        ridge = _RIDGE * np.trace(products) / len(products) * np.eye(len(products))
        weights[category] = np.linalg.solve(products + ridge, share * own.features).astype(np.float32)
    return weights


def propose(backend: Backend, encoded: EncodedPhoto, weights: Mapping[Any, Floats]) -> list[Proposal]:
    """Objects of the classes on a photo, the best first; none of them overlaps a better one much."""
    if not weights:
        return []
    categories, cells = list(weights), _features(encoded)
    heat = np.clip(np.stack([cells @ weights[category] for category in categories], axis=-1), 0, 1)  # (h, w, classes)
    points = [(c, *place) for c in range(len(categories)) for place in _peaks(heat, c)]
    points = sorted(points, key=lambda point: -float(heat[point[1], point[2], point[0]]))[:_MAX_POINTS]
    found: list[tuple[float, int, tuple[int, int], Any, float, NDArray[np.bool_]]] = []
    for start in range(0, len(points), _AT_ONCE):
        batch = points[start : start + _AT_ONCE]
        logits, ious = _decode(backend, encoded, [place for _, *place in batch])
        for (number, row, column), candidates, candidate_ious in zip(batch, logits, ious, strict=True):
            small = _cells_of(candidates, encoded.fit, (cells.shape[0], cells.shape[1]))
            agreements = [_agreement(mask, heat[..., number], (row, column)) for mask in small]
            best = int(np.argmax(agreements))
            inside = np.asarray(candidates[best] > MASK_THRESHOLD)
            found.append(
                (agreements[best], number, (row, column), candidates[best], float(candidate_ious[best]), inside)
            )
    found.sort(key=lambda item: -item[0])
    kept: list[tuple[float, int, tuple[int, int], Any, float, NDArray[np.bool_]]] = []
    for item in found:
        if item[0] >= _MIN_AGREEMENT and all(_iou(item[5], other[5]) <= _MAX_OVERLAP for other in kept):
            kept.append(item)
    return [
        Proposal(categories[number], mask_at_photo_size(logits, encoded.fit), iou, score, _centre(place, encoded.fit))
        for score, number, place, logits, iou, _ in kept
    ]


def _features(encoded: EncodedPhoto) -> Floats:
    """(h, w, 257): the cells that show the photo, each at length 1, and a one for the constant."""
    rows, columns = (math.ceil(side / _STRIDE) for side in encoded.fit.content_hw)
    cells = as_numpy(encoded.image_embedding)[0, :, :rows, :columns].transpose(1, 2, 0).astype(np.float32)
    cells = cells / np.linalg.norm(cells, axis=-1, keepdims=True).clip(1e-6)
    return np.concatenate([cells, np.ones((*cells.shape[:2], 1), dtype=np.float32)], axis=-1)


def _sums(cells: Floats, weights: Floats) -> CellSums:
    weighted = cells * weights[:, None]
    return CellSums(float(weights.sum()), weighted.sum(0, dtype=np.float64), (weighted.T @ cells).astype(np.float64))


def _peaks(heat: Floats, number: int) -> list[tuple[int, int]]:
    """Rows and columns where a class has its highest heat around, and more than every other class."""
    own = np.ascontiguousarray(cv2.GaussianBlur(heat[..., number], (3, 3), 0))
    highest = own >= cv2.dilate(own, np.ones((_APART, _APART), np.uint8))
    wins = (heat.argmax(-1) == number) & (own > _BELONGS)
    return [(int(row), int(column)) for row, column in zip(*np.nonzero(highest & wins), strict=True)]


def _centre(place: tuple[int, int], fit: CanvasFit) -> tuple[float, float]:
    """x and y of a cell's centre in photo pixels."""
    row, column = place
    scale_y, scale_x = (photo / content for photo, content in zip(fit.photo_hw, fit.content_hw, strict=True))
    x, y = (column + 0.5) * _STRIDE * scale_x, (row + 0.5) * _STRIDE * scale_y
    return min(x, fit.photo_hw[1] - 1.0), min(y, fit.photo_hw[0] - 1.0)


def _decode(backend: Backend, encoded: EncodedPhoto, places: Sequence[Sequence[int]]) -> tuple[Any, NDArray[Any]]:
    """Three masks for a click on each cell: low_res_logits (B, 3, S/4, S/4) on the CPU, and predicted IoU (B, 3)."""
    coords = (np.array([[column, row] for row, column in places], dtype=np.float64) + 0.5) * _STRIDE
    height, width = encoded.fit.content_hw
    coords = np.minimum(coords, [width - 1, height - 1])
    prompts = CanvasPrompts(coords[:, None].astype(np.float32), np.ones((len(coords), 1), dtype=np.float32))
    logits, ious = backend.decode(encoded.image_embedding, prompts, slice(1, 4))
    return on_cpu(logits), as_numpy(ious)


def _cells_of(logits: Any, fit: CanvasFit, cells_hw: tuple[int, int]) -> list[Floats]:
    """(3, S/4, S/4) logits -> how much of each cell (h, w) every mask covers."""
    step = _STRIDE // LOGITS_STRIDE
    rows, columns = cells_hw
    inside = np.asarray(logits > MASK_THRESHOLD)[:, : rows * step, : columns * step].astype(np.float32)
    return list(inside.reshape(len(inside), rows, step, columns, step).mean((2, 4)))


def _agreement(mask: Floats, heat: Floats, place: tuple[int, int]) -> float:
    """Soft IoU of a mask with the heat of the connected region around its point, 0 to 1."""
    _, regions = cv2.connectedComponents((heat > _BELONGS).astype(np.uint8))
    region = np.where(regions == regions[place], heat, 0)
    return float(np.minimum(mask, heat).sum() / np.maximum(mask, region).sum().clip(1e-6))


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))
