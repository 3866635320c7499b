"""Run a saved Core ML package: by Core ML on a Mac, elsewhere by ``mil_interpreter``.

Shapes and labels are checked here, before either of them runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...canvas import EMBEDDING_CHANNELS, EMBEDDING_STRIDE, LOGITS_STRIDE
from ...errors import PromptError
from ...photo import Photo
from ..config import PROMPT_SLOTS
from ..libraries import import_coremltools
from .mil_interpreter import MilProgram

Run = Callable[[Mapping[str, Any]], dict[str, NDArray[np.float32]]]


class CoreMLEncoder:
    """A saved encoder.mlpackage; its input is a picture or a canvas."""

    def __init__(self, path: Path, canvas_size: int) -> None:
        self.canvas_size = canvas_size
        self._run = _open(path)

    def encode_content(self, content: Photo, padding: int = 0) -> NDArray[np.float32]:
        """Encode a photo that is already resized to the canvas, for a package that takes a picture.

        Args:
            content: (h, w, 3) uint8 RGB, no side longer than the canvas.
            padding: value of the pixels around it, 0..255; it makes no difference.

        Returns:
            image embedding (1, 256, S/16, S/16).

        Raises:
            ValueError: wrong shape or type.
        """
        side = self.canvas_size
        if content.ndim != 3 or content.shape[2] != 3 or max(content.shape[:2]) > side or content.dtype != np.uint8:
            raise ValueError(
                f"content must be (h, w, 3) uint8 with sides up to {side}, got {content.shape} {content.dtype}"
            )
        picture = np.full((side, side, 3), padding, dtype=np.uint8)
        picture[: content.shape[0], : content.shape[1]] = content
        image: Any = Image.fromarray(picture) if sys.platform == "darwin" else picture.transpose(2, 0, 1)[None]
        return self._run({"image": image, "content_hw": np.array(content.shape[:2], dtype=np.float32)})[
            "image_embedding"
        ]

    def encode_canvas(self, canvas: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode a normalised canvas (1, 3, S, S), for a package that takes one.

        Returns:
            image embedding (1, 256, S/16, S/16).

        Raises:
            ValueError: wrong shape.
        """
        side = self.canvas_size
        if canvas.shape != (1, 3, side, side):
            raise ValueError(f"canvas must have shape (1, 3, {side}, {side}), got {canvas.shape}")
        return self._run({"canvas": canvas})["image_embedding"]


class CoreMLBackbone:
    """A saved backbone.mlpackage: a picture -> logits of its classes."""

    def __init__(self, path: Path) -> None:
        self._run = _open(path)

    def classify(self, picture: Photo) -> NDArray[np.float32]:
        """(S, S, 3) uint8 RGB, S as it was exported -> (1, classes)."""
        image: Any = Image.fromarray(picture) if sys.platform == "darwin" else picture.transpose(2, 0, 1)[None]
        return self._run({"image": image})["logits"]


class CoreMLDecoder:
    """A saved decoder.mlpackage: one prompt for each call, of up to 16 points and box corners."""

    def __init__(self, path: Path, canvas_size: int) -> None:
        self.canvas_size = canvas_size
        self._run = _open(path)

    def decode(
        self, image_embedding: NDArray[Any], coords: Any, labels: Any, mask_input: NDArray[Any] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Decode one prompt.

        Args:
            image_embedding: (1, 256, S/16, S/16).
            coords: (N, 2) x and y in canvas pixels.
            labels: (N,): 1 object, 0 background, 2 and 3 a box's corners, -1 ignored.
            mask_input: (1, 1, S/4, S/4) logits of an earlier prediction.

        Returns:
            low_res_logits (1, 4, S/4, S/4), iou_predictions (1, 4) and, if exported so, logits (1, 4, S, S).

        Raises:
            PromptError: wrong shape, label, or number of points.
        """
        grid, low = self.canvas_size // EMBEDDING_STRIDE, self.canvas_size // LOGITS_STRIDE
        expected = (1, EMBEDDING_CHANNELS, grid, grid)
        if image_embedding.shape != expected:
            raise PromptError(f"image_embedding must have shape {expected}, got {image_embedding.shape}")
        if mask_input is not None and mask_input.shape != (1, 1, low, low):
            raise PromptError(f"mask_input must have shape (1, 1, {low}, {low}), got {mask_input.shape}")
        slot_coords, slot_labels = fill_slots(coords, labels)
        return self._run(
            {
                "image_embedding": image_embedding,
                "point_coords": slot_coords,
                "point_labels": slot_labels,
                "mask_input": np.zeros((1, 1, low, low), dtype=np.float32) if mask_input is None else mask_input,
                "has_mask_input": np.array([float(mask_input is not None)], dtype=np.float32),
            }
        )


def fill_slots(coords: Any, labels: Any, slots: int = PROMPT_SLOTS) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Put N labelled points in canvas pixels into the first of (1, slots, 2) and (1, slots); the rest are empty.

    An empty slot has label -1.

    Raises:
        PromptError: shapes that do not fit each other, too many points, an unknown label, half a box.
    """
    points, point_labels = np.asarray(coords, dtype=np.float32), np.asarray(labels, dtype=np.float32)
    if points.size == 0:
        points = points.reshape(0, 2)
    _check_points(points, point_labels, slots)
    slot_coords, slot_labels = np.zeros((1, slots, 2), np.float32), np.full((1, slots), -1, np.float32)
    slot_coords[0, : len(points)], slot_labels[0, : len(points)] = points, point_labels
    return slot_coords, slot_labels


def _check_points(points: NDArray[np.float32], labels: NDArray[np.float32], slots: int) -> None:
    if points.ndim != 2 or points.shape[1] != 2:
        raise PromptError(f"point_coords must have shape (N, 2), x and y in canvas pixels, got {points.shape}")
    if labels.shape != (len(points),):
        raise PromptError(f"point_labels must have shape ({len(points)},), one for each point, got {labels.shape}")
    if len(points) > slots:
        raise PromptError(f"one prompt takes up to {slots} points (a box counts as two), got {len(points)}")
    unknown = labels[~np.isin(labels, (-1, 0, 1, 2, 3))]
    if unknown.size:
        raise PromptError(
            "point_labels must be 1 (object), 0 (background), 2 and 3 (a box's top left and bottom right corner) or "
            f"-1 (empty), got {unknown[0]:g}"
        )
    corners = (int((labels == 2).sum()), int((labels == 3).sum()))
    if corners not in ((0, 0), (1, 1)):
        raise PromptError(f"a box is one corner of label 2 and one of label 3, got {corners[0]} and {corners[1]}")
    if not np.isfinite(points).all():
        raise PromptError("point_coords must be finite, got NaN or infinity")


def _open(path: Path) -> Run:
    ct = import_coremltools()
    if sys.platform != "darwin":
        return MilProgram(path)
    model = ct.models.MLModel(str(path))
    return lambda inputs: {name: np.asarray(a, np.float32) for name, a in model.predict(dict(inputs)).items()}
