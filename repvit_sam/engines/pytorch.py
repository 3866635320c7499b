"""PyTorch as an engine: a ``Sam`` on its device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor

from ..decoder import decode
from ..embedding import encoder_fingerprint


class TorchEngine:
    """A model of this package, or a ``Sam`` of segment_anything, behind the protocol."""

    def __init__(self, model: Sam) -> None:
        self.model = model

    @property
    def canvas_size(self) -> int:
        return self.model.image_encoder.img_size

    @torch.no_grad()
    def encode(self, canvas: NDArray[np.float32]) -> Tensor:
        """See ``Engine``."""
        embedding: Tensor = self.model.image_encoder(torch.from_numpy(canvas).to(self.model.device))
        return embedding.contiguous()

    @torch.no_grad()
    def decode(
        self,
        image_embedding: Tensor,
        point_coords: NDArray[Any] | None,
        point_labels: NDArray[Any] | None,
        boxes: NDArray[Any] | None,
        mask_input: NDArray[Any] | None,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """See ``Engine``."""
        return decode(
            self.model,
            image_embedding,
            self._tensor(point_coords),
            self._tensor(point_labels, torch.int),
            self._tensor(boxes),
            self._tensor(mask_input),
            multimask_output,
        )

    def fingerprint(self) -> str:
        """See ``Engine``."""
        return encoder_fingerprint(self.model.image_encoder)

    def adopt(self, image_embedding: NDArray[np.float32]) -> Tensor:
        """See ``Engine``."""
        return torch.from_numpy(image_embedding).to(self.model.device)

    def _tensor(self, array: NDArray[Any] | None, dtype: torch.dtype = torch.float) -> Tensor | None:
        return None if array is None else torch.as_tensor(array, dtype=dtype, device=self.model.device)
