"""A saved Core ML package, run: by Core ML on a Mac, elsewhere by evaluating its program (mil.py).

The door of both: wrong labels and shapes are refused here, before a runtime sees them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...canvas import EMBEDDING_STRIDE, LOGITS_STRIDE
from ...errors import PromptError
from ...photo import Photo
from ..coreml import PROMPT_SLOTS, coremltools
from .mil_interpreter import MilProgram

Run = Callable[[Mapping[str, Any]], dict[str, NDArray[np.float32]]]


class CoreMLEncoder:
    """encoder.mlpackage."""

    def __init__(self, path: Path, canvas_size: int) -> None:
        self.canvas_size = canvas_size
        self._run, self._input_names = _open(path)

    @property
    def takes_pictures(self) -> bool:
        return "image" in self._input_names

    def encode_content(self, content: Photo, padding: int = 0) -> NDArray[np.float32]:
        """(h, w, 3) uint8, resized to the canvas already -> image embedding.

        Args:
            padding: what lies on the rest of the picture, 0..255; it makes no difference.
        """
        side = self.canvas_size
        if content.ndim != 3 or content.shape[2] != 3 or max(content.shape[:2]) > side or content.dtype != np.uint8:
            raise ValueError(
                f"a photo on the canvas must be (h, w, 3) uint8 with sides up to {side}, got {content.shape}"
            )
        picture = np.full((side, side, 3), padding, dtype=np.uint8)
        picture[: content.shape[0], : content.shape[1]] = content
        image: Any = Image.fromarray(picture) if sys.platform == "darwin" else picture.transpose(2, 0, 1)[None]
        return self._run({"image": image, "content_hw": np.array(content.shape[:2], dtype=np.float32)})[
            "image_embedding"
        ]

    def encode_canvas(self, canvas: NDArray[np.float32]) -> NDArray[np.float32]:
        """(1, 3, S, S) normalised -> image embedding, for a package with a tensor input."""
        side = self.canvas_size
        if canvas.shape != (1, 3, side, side):
            raise ValueError(f"a canvas must have shape (1, 3, {side}, {side}), got {canvas.shape}")
        return self._run({"canvas": canvas})["image_embedding"]


class CoreMLDecoder:
    """decoder.mlpackage: one prompt of up to 16 points and box corners a call."""

    def __init__(self, path: Path, canvas_size: int) -> None:
        self.canvas_size = canvas_size
        self._run, _ = _open(path)

    def decode(
        self, image_embedding: NDArray[Any], coords: Any, labels: Any, mask_input: NDArray[Any] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Labelled points in canvas pixels -> low_res_logits (1, 4, S/4, S/4), iou_predictions (1, 4)[, logits].

        Raises:
            PromptError: wrong shape, label, or number of points; the message says what was expected.
        """
        grid, low = self.canvas_size // EMBEDDING_STRIDE, self.canvas_size // LOGITS_STRIDE
        if image_embedding.shape != (1, 256, grid, grid):
            raise PromptError(f"image_embedding must have shape (1, 256, {grid}, {grid}), got {image_embedding.shape}")
        if mask_input is not None and mask_input.shape != (1, 1, low, low):
            raise PromptError(f"mask_input must have shape (1, 1, {low}, {low}), got {mask_input.shape}")
        slots, marks = fill_slots(coords, labels)
        return self._run(
            {
                "image_embedding": image_embedding,
                "point_coords": slots,
                "point_labels": marks,
                "mask_input": np.zeros((1, 1, low, low), dtype=np.float32) if mask_input is None else mask_input,
                "has_mask_input": np.array([float(mask_input is not None)], dtype=np.float32),
            }
        )


def fill_slots(coords: Any, labels: Any, slots: int = PROMPT_SLOTS) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """N labelled points in canvas pixels -> (1, slots, 2) and (1, slots), the rest empty (label -1).

    Raises:
        PromptError: shapes that do not fit each other, too many points, an unknown label, half a box.
    """
    points = np.asarray(coords, dtype=np.float32)
    marks = np.asarray(labels, dtype=np.float32)
    if points.size == 0:
        points = points.reshape(0, 2)
    if points.ndim != 2 or points.shape[1] != 2:
        raise PromptError(f"point_coords must have shape (N, 2), x and y in canvas pixels, got {points.shape}")
    if marks.shape != (len(points),):
        raise PromptError(f"point_labels must have shape ({len(points)},), one a point, got {marks.shape}")
    if len(points) > slots:
        raise PromptError(f"one prompt takes up to {slots} points, a box counting as two, got {len(points)}")
    strange = marks[~np.isin(marks, (-1, 0, 1, 2, 3))]
    if strange.size:
        raise PromptError(
            "point_labels must be 1 (object), 0 (background), 2 and 3 (a box's top left and bottom right corner) or "
            f"-1 (empty), got {strange[0]:g}"
        )
    corners = (int((marks == 2).sum()), int((marks == 3).sum()))
    if corners not in ((0, 0), (1, 1)):
        raise PromptError(f"a box is one corner of label 2 and one of label 3, got {corners[0]} and {corners[1]}")
    if not np.isfinite(points).all():
        raise PromptError("point_coords must be finite, got NaN or infinity")
    filled, filled_marks = np.zeros((1, slots, 2), np.float32), np.full((1, slots), -1, np.float32)
    filled[0, : len(points)], filled_marks[0, : len(points)] = points, marks
    return filled, filled_marks


def _open(path: Path) -> tuple[Run, list[str]]:
    ct = coremltools()
    if sys.platform == "darwin":
        model = ct.models.MLModel(str(path))
        names = [one.name for one in model.get_spec().description.input]
        return lambda inputs: {k: np.asarray(v, np.float32) for k, v in model.predict(dict(inputs)).items()}, names
    program = MilProgram(path)
    return program, program.input_names
