"""The methods that a predictor calls on a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..prompts import CanvasPrompts

if TYPE_CHECKING:
    import torch


class Backend(Protocol):
    """Canvas -> image embedding -> logits, all in canvas coordinates.

    Inputs are NumPy arrays. Embedding and logits are the backend's own arrays: NumPy's, or tensors that stay on their
    device until they are thresholded.
    """

    @property
    def canvas_size(self) -> int:
        """Side of the canvas in pixels."""

    @property
    def device(self) -> torch.device | str:
        """Where it computes: a ``torch.device`` on PyTorch, else a name such as "cpu"."""

    @property
    def label(self) -> str:
        """What computes the image encoder, for people: "OpenVINO bf16"."""

    def encode(self, canvas: NDArray[np.float32]) -> Any:
        """(B, 3, S, S), normalised and padded -> image embeddings (B, 256, S/16, S/16).

        B is 1, unless the backend has an attribute ``canvases_at_once``: then up to that many.
        """

    def decode(self, image_embedding: Any, prompts: CanvasPrompts, masks: slice) -> tuple[Any, Any]:
        """B prompts on one photo -> low_res_logits (B, C, S/4, S/4) and iou_predictions (B, C).

        Args:
            image_embedding: as ``encode`` returns it.
            prompts: NumPy arrays.
            masks: which of the decoder's four masks: ``masks.mask_slice(...)``, or ``masks.ALL_MASKS``.
        """

    def decode_confident(
        self, image_embedding: Any, prompts: CanvasPrompts, masks: slice, min_iou: float
    ) -> tuple[Any, Any]:
        """As ``decode``, with logits only for masks whose predicted IoU is above ``min_iou``.

        Returns:
            low_res_logits (K, S/4, S/4) of the masks at ``(iou_predictions > min_iou).nonzero()``, in this order, and
            iou_predictions (B, C) of all.
        """

    def fingerprint(self) -> str:
        """Identifies the encoder's weights; the same on every backend (``embedding.encoder_fingerprint``)."""

    def from_numpy(self, image_embedding: NDArray[np.float32]) -> Any:
        """An image embedding that was read from a file -> the backend's own array."""
