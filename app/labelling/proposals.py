"""Objects of the classes that were labelled before, proposed on a photo that is not labelled yet.

The image embedding has 256 numbers for each cell of 16 x 16 canvas pixels. Weighted ridge regression from the cells of
labelled photos to "belongs to the class" takes milliseconds and a few photos. Where it says yes on a new photo, points
are set, and boxes around regions; the decoder makes masks of them. Of each prompt's masks the one that agrees most with
the regression is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from repvit_sam.backends import Backend
from repvit_sam.canvas import LOGITS_STRIDE, CanvasFit
from repvit_sam.embedding import EncodedPhoto, as_numpy, on_cpu
from repvit_sam.masks import ALL_MASKS, MASK_THRESHOLD, Mask, mask_at_photo_size
from repvit_sam.prompts import CanvasPrompts

_STRIDE = 16  # canvas pixels of a cell
# of the mean of the diagonal; people, learnt from 20 photos of COCO: average precision of cells 0.52 at 0.01, 0.54 here
_RIDGE = 0.1
_BELONGS = 0.5  # the regression is trained towards 0 and 1
_MAX_PROMPTS = 48
_LEAST_REGION = 4  # cells that get a box
_APART = 5  # cells: the window in which a point is the highest
# between a mask and the regression, see ``_agreement``; people, learnt from 20 photos of COCO: of proposals above 0.3,
# 0.4 and 0.5, 22 %, 38 % and 65 % have an IoU above 0.5 with a person
_MIN_AGREEMENT = 0.4
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
    prompts = [prompt for number in range(len(categories)) for prompt in _prompts(heat, number)]
    prompts = sorted(prompts, key=lambda prompt: -float(heat[prompt.place][prompt.number]))[:_MAX_PROMPTS]
    found = [
        candidate
        for with_boxes in (False, True)
        for candidate in _candidates(backend, encoded, heat, [p for p in prompts if (p.box is not None) == with_boxes])
    ]
    kept: list[_Candidate] = []
    for item in sorted(found, key=lambda candidate: -candidate.score):
        if item.score >= _MIN_AGREEMENT and all(_iou(item.inside, other.inside) <= _MAX_OVERLAP for other in kept):
            kept.append(item)
    return [
        Proposal(
            categories[item.prompt.number],
            mask_at_photo_size(item.low_res_logits, encoded.fit),
            item.predicted_iou,
            item.score,
            _centre(item.prompt.place, encoded.fit),
        )
        for item in kept
    ]


@dataclass(frozen=True)
class _Prompt:
    """A place where a class is found: row and column of a cell, and perhaps a box in cells (x0, y0, x1, y1)."""

    number: int  # of the class
    place: tuple[int, int]
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class _Candidate:
    """The best mask of a prompt; ``inside``: its low-resolution logits above the threshold."""

    prompt: _Prompt
    score: float
    low_res_logits: Any
    predicted_iou: float
    inside: NDArray[np.bool_]


def _candidates(
    backend: Backend, encoded: EncodedPhoto, heat: Floats, prompts: Sequence[_Prompt]
) -> Iterator[_Candidate]:
    """For each prompt, which all have a box or none, the mask that agrees most with the regression."""
    for start in range(0, len(prompts), _AT_ONCE):
        batch = prompts[start : start + _AT_ONCE]
        logits, ious = backend.decode(encoded.image_embedding, _on_canvas(batch, encoded.fit), ALL_MASKS)
        for prompt, low_res_logits, iou_predictions in zip(batch, on_cpu(logits), as_numpy(ious), strict=True):
            covers = _cells_of(low_res_logits, (heat.shape[0], heat.shape[1]))
            scores = [_agreement(cover, heat[..., prompt.number], prompt.place) for cover in covers]
            best = int(np.argmax(scores))
            inside = np.asarray(low_res_logits[best] > MASK_THRESHOLD)
            yield _Candidate(prompt, scores[best], low_res_logits[best], float(iou_predictions[best]), inside)


def _prompts(heat: Floats, number: int) -> Iterator[_Prompt]:
    """Points where a class has its highest heat around and more than every other class, and boxes around regions."""
    own = np.ascontiguousarray(cv2.GaussianBlur(heat[..., number], (3, 3), 0))
    wins = (heat.argmax(-1) == number) & (own > _BELONGS)
    highest = wins & (own >= cv2.dilate(own, np.ones((_APART, _APART), np.uint8)))
    for row, column in zip(*np.nonzero(highest), strict=True):
        yield _Prompt(number, (int(row), int(column)))
    count, regions, stats, _ = cv2.connectedComponentsWithStats(wins.astype(np.uint8))
    for region in range(1, count):
        x, y, width, height, area = stats[region].tolist()
        if area >= _LEAST_REGION:
            hottest = np.unravel_index(np.where(regions == region, own, 0).argmax(), own.shape)
            yield _Prompt(number, (int(hottest[0]), int(hottest[1])), (x, y, x + width, y + height))


def _on_canvas(prompts: Sequence[_Prompt], fit: CanvasFit) -> CanvasPrompts:
    height, width = fit.content_hw
    places = np.array([[prompt.place[1], prompt.place[0]] for prompt in prompts], dtype=np.float32)
    coords = np.minimum((places + 0.5) * _STRIDE, [width - 1, height - 1]).astype(np.float32)
    boxes = np.array([prompt.box for prompt in prompts if prompt.box], dtype=np.float32) * _STRIDE
    return CanvasPrompts(
        coords[:, None],
        np.ones((len(coords), 1), dtype=np.float32),
        np.minimum(boxes, [width, height, width, height]).astype(np.float32) if len(boxes) else None,
    )


def _features(encoded: EncodedPhoto) -> Floats:
    """(h, w, 257): the cells that show the photo, each at length 1, and a one for the constant."""
    rows, columns = (math.ceil(side / _STRIDE) for side in encoded.fit.content_hw)
    cells = as_numpy(encoded.image_embedding)[0, :, :rows, :columns].transpose(1, 2, 0).astype(np.float32)
    cells = cells / np.linalg.norm(cells, axis=-1, keepdims=True).clip(1e-6)
    return np.concatenate([cells, np.ones((*cells.shape[:2], 1), dtype=np.float32)], axis=-1)


def _sums(cells: Floats, weights: Floats) -> CellSums:
    weighted = cells * weights[:, None]
    return CellSums(float(weights.sum()), weighted.sum(0, dtype=np.float64), (weighted.T @ cells).astype(np.float64))


def _centre(place: tuple[int, int], fit: CanvasFit) -> tuple[float, float]:
    """x and y of a cell's centre in photo pixels."""
    row, column = place
    scale_y, scale_x = (photo / content for photo, content in zip(fit.photo_hw, fit.content_hw, strict=True))
    x, y = (column + 0.5) * _STRIDE * scale_x, (row + 0.5) * _STRIDE * scale_y
    return min(x, fit.photo_hw[1] - 1.0), min(y, fit.photo_hw[0] - 1.0)


def _cells_of(logits: Any, cells_hw: tuple[int, int]) -> list[Floats]:
    """(C, S/4, S/4) logits -> how much of each cell (h, w) every mask covers."""
    step = _STRIDE // LOGITS_STRIDE
    rows, columns = cells_hw
    inside = np.asarray(logits > MASK_THRESHOLD)[:, : rows * step, : columns * step].astype(np.float32)
    return list(inside.reshape(len(inside), rows, step, columns, step).mean((2, 4)))


def _agreement(mask: Floats, heat: Floats, place: tuple[int, int]) -> float:
    """How well a mask fits the heat, 0 to 1.

    The product of two: its soft IoU with the heat of the connected region around its point, and its mean heat.
    """
    _, regions = cv2.connectedComponents((heat > _BELONGS).astype(np.uint8))
    region = np.where(regions == regions[place], heat, 0)
    overlap = np.minimum(mask, heat).sum() / np.maximum(mask, region).sum().clip(1e-6)
    return float(overlap * (mask * heat).sum() / mask.sum().clip(1e-6))


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))
