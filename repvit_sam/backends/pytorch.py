"""PyTorch as a backend: a ``Sam`` on its device."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor

from ..embedding import encoder_fingerprint
from ..modeling.decoder import decode_reference
from ..modeling.fast_decoder import FastDecoder
from ..prompts import CanvasPrompts


class TorchBackend:
    """A model of this package, or a ``Sam`` of segment_anything, as a ``Backend``.

    Args:
        model: the weights are taken as they are now; make a new backend when they change.
        bit_equal: decode with segment_anything's own modules, to the bit, in three times the time.

    Attributes:
        torch_model: the model.
    """

    def __init__(self, model: Sam, bit_equal: bool = False) -> None:
        self.torch_model = model
        self._bit_equal = bit_equal

    @cached_property
    def _fast_decoder(self) -> FastDecoder:
        with torch.no_grad():
            return FastDecoder(self.torch_model)

    @property
    def canvas_size(self) -> int:
        """See ``Backend``."""
        return self.torch_model.image_encoder.img_size

    @property
    def device(self) -> torch.device:
        """See ``Backend``."""
        return self.torch_model.device

    @property
    def canvases_at_once(self) -> int:
        """How many are encoded fastest together; more gain nothing on a CPU, which one canvas keeps busy."""
        return 8 if self.device.type == "cuda" else 1

    @torch.no_grad()
    def encode(self, canvas: NDArray[np.float32]) -> Tensor:
        """See ``Backend``."""
        embedding: Tensor = self.torch_model.image_encoder(torch.from_numpy(canvas).to(self.device))
        return embedding.contiguous()

    @torch.no_grad()
    def decode(self, image_embedding: Tensor, prompts: CanvasPrompts, masks: slice) -> tuple[Tensor, Tensor]:
        """See ``Backend``."""
        tensors = self._tensors(prompts)
        if not self._bit_equal:
            return self._fast_decoder.decode(image_embedding, tensors, masks)
        logits, ious = decode_reference(self.torch_model, image_embedding, tensors)
        return logits[:, masks], ious[:, masks]

    @torch.no_grad()
    def decode_confident(
        self, image_embedding: Tensor, prompts: CanvasPrompts, masks: slice, min_iou: float
    ) -> tuple[Tensor, Tensor]:
        """See ``Backend``."""
        return self._fast_decoder.decode_confident(image_embedding, self._tensors(prompts), masks, min_iou)

    def fingerprint(self) -> str:
        """See ``Backend``."""
        return encoder_fingerprint(self.torch_model.image_encoder)

    def from_numpy(self, image_embedding: NDArray[np.float32]) -> Tensor:
        """See ``Backend``."""
        return torch.from_numpy(image_embedding).to(self.device)

    def _tensors(self, prompts: CanvasPrompts) -> CanvasPrompts:
        return CanvasPrompts(
            self._tensor(prompts.point_coords),
            self._tensor(prompts.point_labels, torch.int),
            self._tensor(prompts.boxes),
            self._tensor(prompts.mask_input),
        )

    def _tensor(self, array: Any, dtype: torch.dtype = torch.float) -> Tensor | None:
        return None if array is None else torch.as_tensor(array, dtype=dtype, device=self.device)
