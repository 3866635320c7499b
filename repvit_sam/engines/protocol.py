"""What a predictor asks of whatever computes."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Canvas -> image embedding -> logits, all in canvas coordinates.

    What goes in is NumPy; embedding and logits are the engine's own arrays (NumPy's, or tensors that stay on their
    device until masks are cut from them). ``masks.logits_to_photo`` takes either.
    """

    @property
    def canvas_size(self) -> int:
        """Side of the canvas in pixels."""

    def encode(self, canvas: NDArray[np.float32]) -> Any:
        """(1, 3, S, S), normalised and padded -> image_embedding (1, 256, S/16, S/16)."""

    def decode(
        self,
        image_embedding: Any,
        point_coords: NDArray[Any] | None,
        point_labels: NDArray[Any] | None,
        boxes: NDArray[Any] | None,
        mask_input: NDArray[Any] | None,
        multimask_output: bool,
    ) -> tuple[Any, Any]:
        """B prompts, shapes as in ``decoder.decode`` -> low_res_logits (B, C, S/4, S/4) and iou_predictions (B, C)."""

    def fingerprint(self) -> str:
        """The encoder's, equal for the same weights in any engine (``embedding.encoder_fingerprint``)."""

    def adopt(self, image_embedding: NDArray[np.float32]) -> Any:
        """An image embedding read from a file -> the engine's own array."""
