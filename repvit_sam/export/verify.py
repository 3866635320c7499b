"""Does an exported file compute what the model computes? Asked of a real photograph before an export is called done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends.pytorch import TorchBackend
from ..canvas import CanvasFit, fit_photo, normalise_and_pad, resize_photo
from ..errors import ExportError
from ..example_photos import example_photo
from ..masks import MASK_THRESHOLD, logits_to_photo
from ..modeling.decoder import decode_reference
from ..modeling.sam import SamModel
from ..photo import Photo, read_photo
from ..prompts import CanvasPrompts

Array = NDArray[Any]
Encode = Callable[[Photo, Array], Array]  # content (uint8), canvas -> embedding
# embedding, coords (N, 2), labels (N,), mask_input (1, 1, h, w) or None -> low_res_logits (1, 4, h, w)
Decode = Callable[[Array, Array, Array, "Array | None"], Array]

# the largest difference allowed, as a share of the largest number, and the least IoU of masks
LIMITS = {
    "fp32": (1e-3, 0.999),
    "fp16": (2e-2, 0.99),
    "palette8": (None, 0.85),
    "linear8": (None, 0.85),
    "int8": (None, 0.8),
}

# coffee.jpg, photo pixels: the cup's box, a point on it with one on the table, both; then the points again, with the
# mask that the box gave
_BOX = [(170.0, 12.0, 2), (425.0, 282.0, 3)]
_POINTS = [(300.0, 200.0, 1), (20.0, 20.0, 0)]
_PROMPTS = (_BOX, _POINTS, [*_POINTS, *_BOX])


@dataclass(frozen=True)
class Comparison:
    """How far an export is from PyTorch.

    Attributes:
        difference: largest difference of the embedding (encoder) or logits (decoder), as a share of the largest number.
        mask_iou: least IoU between masks at photo size, from a box, from points, from both, and from a mask.
    """

    difference: float
    mask_iou: float

    def __str__(self) -> str:
        return f"differs by {self.difference:.1e} of the largest number, masks agree to IoU {self.mask_iou:.4f}"


class Reference:
    """The model's own answers on the bundled photograph."""

    def __init__(self, model: SamModel) -> None:
        self._model = model
        photo = read_photo(example_photo("coffee"))
        self.fit: CanvasFit = fit_photo((photo.shape[0], photo.shape[1]), model.canvas_size)
        self.content = resize_photo(photo, self.fit)
        self.canvas = normalise_and_pad(self.content, model.canvas_size)
        self._embedding: Array = TorchBackend(model).encode(self.canvas).cpu().numpy()
        prompts = [(*self._labelled(prompt), None) for prompt in _PROMPTS]
        box_logits, _ = self._decode(self._embedding, *prompts[0])
        self._prompts = [*prompts, (*self._labelled(_POINTS), box_logits[:, :1])]
        answers = [self._decode(self._embedding, *prompt) for prompt in self._prompts]
        self._logits = [logits for logits, _ in answers]
        self._single = [_chosen(*answer, prompt[1]) for answer, prompt in zip(answers, self._prompts, strict=True)]

    def compare_encoder(self, encode: Encode) -> Comparison:
        """An exported encoder, with the model's own decoder."""
        embedding = encode(self.content, self.canvas)
        logits = [self._decode(embedding, *prompt)[0] for prompt in self._prompts]
        return Comparison(_share(embedding, self._embedding), self._least_iou(logits, self._logits))

    def compare_decoder(self, decode: Decode, single_mask: bool = False) -> Comparison:
        """An exported decoder, on the model's own embedding; it gives all four masks, or chooses one by SAM's rule."""
        logits = [decode(self._embedding, *prompt) for prompt in self._prompts]
        expected = self._single if single_mask else self._logits
        difference = max(_share(found, own) for found, own in zip(logits, expected, strict=True))
        return Comparison(difference, self._least_iou(logits, expected))

    def _labelled(self, prompt: list[tuple[float, float, int]]) -> tuple[Array, Array]:
        numbers = np.array(prompt)
        return self.fit.coords_to_canvas(numbers[:, :2]), numbers[:, 2]

    def _decode(self, embedding: Array, coords: Array, labels: Array, mask_input: Array | None) -> tuple[Array, Array]:
        import torch

        with torch.no_grad():
            corners = coords[labels >= 2]
            points, marks = coords[labels < 2], labels[labels < 2]
            prompts = CanvasPrompts(
                torch.as_tensor(points[None], dtype=torch.float32) if len(points) else None,
                torch.as_tensor(marks[None], dtype=torch.int) if len(points) else None,
                torch.as_tensor(corners.reshape(1, 4), dtype=torch.float32) if len(corners) else None,
                None if mask_input is None else torch.from_numpy(mask_input),
            )
            logits, ious = decode_reference(self._model, torch.as_tensor(embedding, dtype=torch.float32), prompts)
            return logits.numpy(), ious.numpy()

    def _least_iou(self, logits: list[Array], expected: list[Array]) -> float:
        """Of the first mask, which of four is the one to take for a box and for several points."""
        ious = []
        for found, own in zip(logits, expected, strict=True):
            a, b = (logits_to_photo(one[:, :1], self.fit) > MASK_THRESHOLD for one in (found, own))
            union = np.logical_or(a, b).sum()
            ious.append(1.0 if union == 0 else float(np.logical_and(a, b).sum() / union))
        return min(ious)


def check(name: str, precision: str, comparison: Comparison) -> None:
    """Raise ExportError where an export is further from PyTorch than its precision explains."""
    most, least = LIMITS[precision]
    if not np.isfinite(comparison.difference):
        raise ExportError(f"{name} gives NaN or infinity; nothing was written")
    if (most is not None and comparison.difference > most) or comparison.mask_iou < least:
        raise ExportError(f"{name} {comparison}, which is too far for {precision}; nothing was written")


def _chosen(logits: Array, ious: Array, labels: Array) -> Array:
    """One of four by SAM's rule: for up to two points, padding counted, the best of the three (utils/onnx.py)."""
    padding = not (labels >= 2).any()
    best = 0 if len(labels) + padding > 2 else 1 + int(ious[0, 1:].argmax())
    return logits[:, best : best + 1]


def _share(found: Array, own: Array) -> float:
    return float(np.abs(np.asarray(found, dtype=np.float64) - own).max() / np.abs(own).max())
