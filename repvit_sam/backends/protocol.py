"""What a predictor asks of whatever computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..prompts import CanvasPrompts

if TYPE_CHECKING:
    import torch


class Backend(Protocol):
    """Canvas -> image embedding -> logits, all in canvas coordinates.

    What goes in is NumPy; embedding and logits are the backend's own arrays (NumPy's, or tensors that stay on their
    device until masks are cut from them). ``masks.logits_to_photo`` takes either.
    """

    @property
    def canvas_size(self) -> int:
        """Side of the canvas in pixels."""

    @property
    def device(self) -> torch.device | str:
        """Where it computes: a ``torch.device`` on PyTorch, elsewhere a word such as "cpu"."""

    def encode(self, canvas: NDArray[np.float32]) -> Any:
        """(1, 3, S, S), normalised and padded -> image_embedding (1, 256, S/16, S/16)."""

    def decode(self, image_embedding: Any, prompts: CanvasPrompts, masks: slice) -> tuple[Any, Any]:
        """B prompts -> low_res_logits (B, C, S/4, S/4) and iou_predictions (B, C).

        Args:
            prompts: NumPy arrays.
            masks: which of the decoder's four: ``masks.mask_slice``, or ``masks.ALL_MASKS``.
        """

    def fingerprint(self) -> str:
        """The encoder's, equal for the same weights on any backend (``embedding.encoder_fingerprint``)."""

    def adopt(self, image_embedding: NDArray[np.float32]) -> Any:
        """An image embedding read from a file -> the backend's own array."""
