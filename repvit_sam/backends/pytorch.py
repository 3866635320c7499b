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
from ..modeling.image_encoder import ImageEncoder
from ..prompts import CanvasPrompts
from .choice import native_bf16_on_cpu


class TorchBackend:
    """A model of this package, or a ``Sam`` of segment_anything, as a ``Backend``.

    Args:
        model: the weights are taken as they are now; make a new backend when they change.
        precision: "fp32", or "bf16" for the image encoder and for upscaling everything mode's masks; the embedding, the
            transformer and the decoder for a person's prompts are float32 in both.
        bit_equal: decode with segment_anything's own modules, to the bit, in three times the time.

    Attributes:
        torch_model: the model.
    """

    def __init__(self, model: Sam, precision: str = "fp32", bit_equal: bool = False) -> None:
        self.torch_model = model
        self.precision = precision
        self._bit_equal = bit_equal

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and deepcopy: without the decoders, which are made from the model when they are first used."""
        made = ("_fast_decoder", "_many_prompts_decoder")
        return {name: value for name, value in self.__dict__.items() if name not in made}

    @cached_property
    def _fast_decoder(self) -> FastDecoder:
        with torch.no_grad():
            return FastDecoder(self.torch_model)

    @cached_property
    def _many_prompts_decoder(self) -> FastDecoder:
        if self.precision == "bf16" or (self.precision == "int8" and native_bf16_on_cpu()):
            with torch.no_grad():
                return FastDecoder(self.torch_model, torch.bfloat16)
        return self._fast_decoder

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
        if self._bit_equal:
            logits, ious = self.decode(image_embedding, prompts, masks)
            return logits[ious > min_iou], ious
        return self._many_prompts_decoder.decode_confident(image_embedding, self._tensors(prompts), masks, min_iou)

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
