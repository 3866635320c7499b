"""Compare an exported file with PyTorch on an example photograph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..backends.pytorch import TorchBackend
from ..canvas import fit_photo, normalise_and_pad, resize_photo
from ..errors import ExportError
from ..example_photos import example_photo
from ..masks import MASK_THRESHOLD, logits_to_photo
from ..modeling.decoder import decode_reference
from ..modeling.sam import SamModel
from ..photo import Photo, read_photo
from ..prompts import CanvasPrompts

Array = NDArray[Any]
Encode = Callable[[Photo, Array], Array]  # resized photo (uint8) and its canvas -> image embedding
Decode = Callable[[Array, CanvasPrompts], Array]  # image embedding and one prompt -> logits (1, 4 or 1, S/4, S/4)

PADDING_VALUE = 200  # around the photo, for encoders that take pixels; any value will do, they ignore it

# precision -> largest relative difference allowed (None: any), smallest mask IoU allowed
TOLERANCES = {
    "fp32": (1e-3, 0.999),
    "fp16": (2e-2, 0.99),
    "palette8": (None, 0.85),
    "linear8": (None, 0.85),
    "int8": (None, 0.8),
}

# in pixels of coffee.jpg: the cup's box, a point on the cup, a point on the table
_BOX = [[170, 12, 425, 282]]
_POINTS, _LABELS = [[[300, 200], [20, 20]]], [[1, 0]]


@dataclass(frozen=True)
class Comparison:
    """How close an exported file is to PyTorch.

    Attributes:
        difference: largest difference of the embedding (encoder) or the logits (decoder), divided by PyTorch's largest
            absolute value.
        mask_iou: smallest IoU between masks at photo size, over the prompts: a box, points, both, points with a mask.
    """

    difference: float
    mask_iou: float

    def __str__(self) -> str:
        return f"differs by {self.difference:.1e} of the largest value, masks agree to IoU {self.mask_iou:.4f}"

    def check(self, name: str, precision: str) -> None:
        """Raise ExportError if the file ``name`` differs by more than its precision explains."""
        max_difference, min_iou = TOLERANCES[precision]
        if not np.isfinite(self.difference):
            raise ExportError(f"{name} gives NaN or infinity; nothing was written")
        if (max_difference is not None and self.difference > max_difference) or self.mask_iou < min_iou:
            raise ExportError(f"{name} {self}, which is too far for {precision}; nothing was written")


class PyTorchReference:
    """PyTorch's results on the example photograph, by ``decode_reference``."""

    def __init__(self, model: SamModel) -> None:
        self._model = model
        photo = read_photo(example_photo("coffee"))
        self.fit = fit_photo((photo.shape[0], photo.shape[1]), model.canvas_size)
        self.content = resize_photo(photo, self.fit)
        self.canvas = normalise_and_pad(self.content, model.canvas_size)
        self._embedding: Array = TorchBackend(model).encode(self.canvas).cpu().numpy()
        boxes = self.fit.boxes_to_canvas(np.array(_BOX)).astype(np.float32)
        coords = self.fit.coords_to_canvas(np.array(_POINTS)).astype(np.float32)
        box, points = CanvasPrompts(boxes=boxes), CanvasPrompts(coords, np.array(_LABELS, dtype=np.int32))
        box_logits, _ = self._decode(self._embedding, box)
        self._prompts = [box, points, replace(points, boxes=boxes), replace(points, mask_input=box_logits[:, :1])]
        results = [self._decode(self._embedding, prompt) for prompt in self._prompts]
        self._logits = [logits for logits, _ in results]
        self._single = [_single_mask(*result, prompt) for result, prompt in zip(results, self._prompts, strict=True)]

    def compare_encoder(self, encode: Encode) -> Comparison:
        """Compare an exported encoder; masks are made with PyTorch's decoder."""
        embedding = encode(self.content, self.canvas)
        logits = [self._decode(embedding, prompt)[0] for prompt in self._prompts]
        return Comparison(_relative_difference(embedding, self._embedding), self._min_iou(logits, self._logits))

    def compare_decoder(self, decode: Decode, single_mask: bool = False) -> Comparison:
        """Compare an exported decoder, given PyTorch's embedding.

        Args:
            single_mask: the decoder gives one mask for each prompt, chosen by SAM's rule, instead of all four.
        """
        logits = [decode(self._embedding, prompt) for prompt in self._prompts]
        expected = self._single if single_mask else self._logits
        difference = max(_relative_difference(found, own) for found, own in zip(logits, expected, strict=True))
        return Comparison(difference, self._min_iou(logits, expected))

    @torch.no_grad()
    def _decode(self, embedding: Array, prompts: CanvasPrompts) -> tuple[Array, Array]:
        arrays = (prompts.point_coords, prompts.point_labels, prompts.boxes, prompts.mask_input)
        tensors = CanvasPrompts(*(None if array is None else torch.from_numpy(array) for array in arrays))
        logits, ious = decode_reference(self._model, torch.as_tensor(embedding, dtype=torch.float32), tensors)
        return logits.numpy(), ious.numpy()

    def _min_iou(self, logits: list[Array], expected: list[Array]) -> float:
        """Over the prompts, for the first mask: of four, the one to use for a box or several points."""
        ious = []
        for found, own in zip(logits, expected, strict=True):
            a, b = (logits_to_photo(one[:, :1], self.fit) > MASK_THRESHOLD for one in (found, own))
            union = np.logical_or(a, b).sum()
            ious.append(1.0 if union == 0 else float(np.logical_and(a, b).sum() / union))
        return min(ious)


def _single_mask(logits: Array, ious: Array, prompts: CanvasPrompts) -> Array:
    """One of four by SAM's rule: for up to two points, padding counted, the best of the three (utils/onnx.py)."""
    _, labels = prompts.labelled_points()
    best = 0 if labels.shape[1] > 2 else 1 + int(ious[0, 1:].argmax())
    return logits[:, best : best + 1]


def _relative_difference(found: Array, own: Array) -> float:
    return float(np.abs(np.asarray(found, dtype=np.float64) - own).max() / np.abs(own).max())
