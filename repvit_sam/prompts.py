"""Checks prompts: points, boxes and masks as a caller passes them -> arrays with a batch axis, in photo pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .canvas import LOGITS_STRIDE, CanvasFit
from .errors import PromptError


@dataclass(frozen=True)
class CanvasPrompts:
    """B prompts as a decoder takes them, in canvas pixels; None for what was not given.

    Attributes:
        point_coords: (B, N, 2) x and y; NumPy arrays or tensors, as all of these.
        point_labels: (B, N): 1 object, 0 background, -1 padding.
        boxes: (B, 4) XYXY.
        mask_input: (B or 1, 1, S/4, S/4) logits of an earlier prediction.
    """

    point_coords: Any = None
    point_labels: Any = None
    boxes: Any = None
    mask_input: Any = None

    def labelled_points(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Points and boxes of NumPy prompts as an exported decoder takes them: (B, N, 2) and labels (B, N).

        A box becomes its corners with labels 2 and 3. Points without a box are followed by one padding point of label
        -1, as SAM was trained. A mask alone has no points.
        """
        coords: list[NDArray[Any]] = []
        labels: list[NDArray[Any]] = []
        if self.point_coords is not None:
            coords.append(np.asarray(self.point_coords))
            labels.append(np.asarray(self.point_labels))
        if self.boxes is not None:
            coords.append(np.asarray(self.boxes).reshape(-1, 2, 2))  # (B, 4) -> (B, 2 corners, 2)
            labels.append(np.tile([2, 3], (len(self.boxes), 1)))
        elif coords:
            coords.append(np.zeros((len(coords[0]), 1, 2)))
            labels.append(np.full((len(coords[0]), 1), -1))
        if not coords:
            count = 1 if self.mask_input is None else len(self.mask_input)
            return np.zeros((count, 0, 2), dtype=np.float32), np.zeros((count, 0), dtype=np.float32)
        return np.concatenate(coords, axis=1).astype(np.float32), np.concatenate(labels, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Prompts:
    """B checked prompts; None for what was not given.

    Attributes:
        point_coords: (B, N, 2) x and y in photo pixels.
        point_labels: (B, N) int: 1 object, 0 background, -1 padding.
        boxes: (B, 4) XYXY in photo pixels.
        mask_input: (B, 1, S/4, S/4) logits of an earlier prediction.
        batched: whether the caller passed a batch, and so expects one back.
    """

    point_coords: NDArray[np.float64] | None
    point_labels: NDArray[np.int32] | None
    boxes: NDArray[np.float64] | None
    mask_input: NDArray[np.float32] | None
    batched: bool

    @property
    def count(self) -> int:
        """B: the number of prompts."""
        for given in (self.point_coords, self.boxes, self.mask_input):
            if given is not None:
                return len(given)
        return 1

    def part(self, start: int, stop: int) -> Prompts:
        """Prompts start..stop-1 of the batch."""

        def cut(array: Any) -> Any:
            return None if array is None else array[start:stop]

        return Prompts(
            cut(self.point_coords), cut(self.point_labels), cut(self.boxes), cut(self.mask_input), self.batched
        )

    def on_canvas(self, fit: CanvasFit) -> CanvasPrompts:
        """The same prompts in canvas pixels."""
        return CanvasPrompts(
            None if self.point_coords is None else fit.coords_to_canvas(self.point_coords),
            self.point_labels,
            None if self.boxes is None else fit.boxes_to_canvas(self.boxes),
            self.mask_input,
        )


def check_prompts(
    point_coords: Any, point_labels: Any, box: Any, mask_input: Any, fit: CanvasFit, batched: bool | None = None
) -> Prompts:
    """Check shapes, types and ranges once, so that nothing inside has to.

    A batch is (B, N, 2) points with (B, N) labels, (B, 4) boxes, (B, 1, h, w) masks. One box given as (1, 4) counts as
    one prompt, as in segment_anything, unless ``batched`` says otherwise.

    Raises:
        PromptError: says what was expected, what was given, and where there is a likely cause, what to do.
    """
    points = labels = boxes = masks = None
    seen_batch: list[bool] = []
    if point_coords is None and point_labels is not None:
        raise PromptError("point_labels were given without point_coords")
    if point_coords is not None:
        points, labels, is_batch = _points(point_coords, point_labels)
        seen_batch.append(is_batch)
        check_near_photo(points[labels >= 0], fit.photo_hw, "point_coords")  # padding may lie anywhere
    if box is not None:
        boxes = _boxes(box)
        seen_batch.append(len(boxes) != 1)
        check_near_photo(boxes.reshape(-1, 2, 2), fit.photo_hw, "box")
    if mask_input is not None:
        masks, is_batch = _masks(mask_input, fit.canvas_size // LOGITS_STRIDE)
        seen_batch.append(is_batch)
    counts = {
        name: len(given)
        for name, given in (("point_coords", points), ("box", boxes), ("mask_input", masks))
        if given is not None
    }
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{count} from {name}" for name, count in counts.items())
        raise PromptError(
            f"prompts of one call must come in equal numbers, got {found}; "
            "points for a batch have shape (B, N, 2) with labels (B, N), boxes (B, 4), masks (B, 1, h, w)"
        )
    is_batch = any(seen_batch) if batched is None else batched
    if not is_batch and max(counts.values(), default=1) != 1:
        raise PromptError(f"batched=False takes one prompt, got {max(counts.values())}")
    return Prompts(points, labels, boxes, masks, is_batch)


def _points(coords: Any, labels: Any) -> tuple[NDArray[np.float64], NDArray[np.int32], bool]:
    points = _numbers(coords, "point_coords")
    if points.ndim not in (2, 3) or points.shape[-1] != 2:
        hint = "; one point is [[x, y]]" if points.shape == (2,) else ""
        raise PromptError(
            f"point_coords must have shape (N, 2), or (B, N, 2) for a batch, in photo pixels, got {points.shape}{hint}"
        )
    if points.shape[-2] == 0:
        raise PromptError(f"point_coords holds no point (shape {points.shape}); pass None instead")
    if labels is None:
        raise PromptError("point_coords need point_labels: 1 for the object, 0 for background")
    marks = _numbers(labels, "point_labels")
    if marks.shape != points.shape[:-1]:
        raise PromptError(f"point_labels must have shape {points.shape[:-1]}, one a point, got {marks.shape}")
    strange = marks[~np.isin(marks, (-1, 0, 1))]
    if strange.size:
        raise PromptError(f"point_labels must be 1 (object), 0 (background) or -1 (padding), got {strange.flat[0]:g}")
    is_batch = points.ndim == 3
    if not is_batch:
        points, marks = points[None], marks[None]
    return points, marks.astype(np.int32), is_batch


def _boxes(box: Any) -> NDArray[np.float64]:
    boxes = _numbers(box, "box")
    if boxes.ndim not in (1, 2) or boxes.shape[-1] != 4:
        raise PromptError(
            f"box must have shape (4,), or (B, 4) for a batch: x0, y0, x1, y1 in photo pixels, got {boxes.shape}"
        )
    boxes = boxes.reshape(-1, 4)
    inverted = (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
    if inverted.any():
        row = boxes[int(np.argmax(inverted))]
        raise PromptError(
            f"box must be x0, y0, x1, y1 with x0 <= x1 and y0 <= y1, got {_short(row)}; "
            "a box of x, y, width, height is x, y, x + width, y + height here"
        )
    return boxes


def _masks(mask_input: Any, side: int) -> tuple[NDArray[np.float32], bool]:
    if getattr(mask_input, "dtype", None) in (bool, np.bool_) or str(getattr(mask_input, "dtype", "")) == "torch.bool":
        raise PromptError("mask_input takes the logits of an earlier prediction (its third result), got a bool mask")
    masks = _numbers(mask_input, "mask_input")
    if masks.ndim not in (3, 4) or masks.shape[-3:] != (1, side, side):
        hint = "; pick one of the masks: low_res_logits[best][None]" if masks.shape == (3, side, side) else ""
        raise PromptError(
            f"mask_input must have shape (1, {side}, {side}), or (B, 1, {side}, {side}) for a batch, "
            f"got {masks.shape}{hint}"
        )
    is_batch = masks.ndim == 4
    return (masks if is_batch else masks[None]).astype(np.float32), is_batch


def _numbers(value: Any, name: str) -> NDArray[np.float64]:
    if hasattr(value, "detach"):  # a torch tensor, on any device
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except Exception:
        raise PromptError(f"{name} must be an array of numbers, got {type(value).__name__}") from None
    if array.dtype.kind not in "biuf":
        raise PromptError(f"{name} must be an array of numbers, got {type(value).__name__} of dtype {array.dtype}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise PromptError(f"{name} must be finite, got NaN or infinity")
    return array


def check_near_photo(coords_xy: NDArray[np.float64], photo_hw: tuple[int, int], name: str) -> None:
    """Check that no point lies far outside the photo. One just past the edge is accepted, as in segment_anything.

    Raises:
        PromptError: a point of (..., 2) coords_xy is further outside than the photo is wide or high.
    """
    height, width = photo_hw
    reach = np.array([width, height])
    outside = ((coords_xy < -reach) | (coords_xy > 2 * reach)).any(-1)
    if outside.any():
        x, y = coords_xy[outside][0]
        raise PromptError(
            f"{name} must be in pixels of the photo, {width} wide and {height} high, got x={x:g}, y={y:g}"
        )


def _short(row: NDArray[np.float64]) -> str:
    return ", ".join(f"{number:g}" for number in row)
