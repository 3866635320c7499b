"""PyTorch as a backend: a ``Sam`` on its device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor

from ..embedding import encoder_fingerprint
from ..modeling.decoder import decode
from ..modeling.image_encoder import ImageEncoder
from ..prompts import CanvasPrompts


class TorchBackend:
    """A model of this package, or a ``Sam`` of segment_anything, as a ``Backend``.

    Args:
        precision: "fp32", or "bf16" for the image encoder; the embedding and the decoder are float32 in both.

    Attributes:
        torch_model: the model.
    """

    def __init__(self, model: Sam, precision: str = "fp32") -> None:
        self.torch_model = model
        self.precision = precision

    @property
    def canvas_size(self) -> int:
        """See ``Backend``."""
        return self.torch_model.image_encoder.img_size

    @property
    def device(self) -> torch.device:
        """See ``Backend``."""
        return self.torch_model.device

    @property
    def label(self) -> str:
        """See ``Backend``."""
        return f"PyTorch {self.precision}"

    @torch.no_grad()
    def encode(self, canvas: NDArray[np.float32]) -> Tensor:
        """See ``Backend``."""
        compute = self._in_bf16 if self.precision == "bf16" else self.torch_model.image_encoder
        embedding: Tensor = compute(torch.from_numpy(canvas).to(self.device))
        return embedding.contiguous()

    @torch.no_grad()
    def decode(self, image_embedding: Tensor, prompts: CanvasPrompts, masks: slice) -> tuple[Tensor, Tensor]:
        """See ``Backend``."""
        tensors = CanvasPrompts(
            self._tensor(prompts.point_coords),
            self._tensor(prompts.point_labels, torch.int),
            self._tensor(prompts.boxes),
            self._tensor(prompts.mask_input),
        )
        return decode(self.torch_model, image_embedding, tensors, masks)

    def fingerprint(self) -> str:
        """See ``Backend``."""
        return encoder_fingerprint(self.torch_model.image_encoder)

    def from_numpy(self, image_embedding: NDArray[np.float32]) -> Tensor:
        """See ``Backend``."""
        return torch.from_numpy(image_embedding).to(self.device)

    def _in_bf16(self, canvas: Tensor) -> Tensor:
        """The encoder's body in bf16 and SAM's neck in float32, which halves the error of the embedding."""
        encoder = self.torch_model.image_encoder
        with torch.autocast(self.device.type, torch.bfloat16):
            if not isinstance(encoder, ImageEncoder):  # SAM's own ViTs
                return encoder(canvas).float()
            body: Any = encoder.body
            features: Tensor = body.forward_features(canvas)
        return encoder.neck(features.float())

    def _tensor(self, array: Any, dtype: torch.dtype = torch.float) -> Tensor | None:
        return None if array is None else torch.as_tensor(array, dtype=dtype, device=self.device)
