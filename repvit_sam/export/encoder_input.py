"""How an exported ONNX encoder takes the photo: this project's own two forms, and those of other programs.

Read from samexporter 0.5.0, AnyLabeling 0.4.43, X-AnyLabeling 4.2.1 and osam 0.8.1; docs/integrations.md has what was
tried with each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..canvas import fit_photo, normalise_and_pad, resize_photo
from ..modeling.sam import SamModel
from ..photo import Photo, read_photo
from .signatures import TensorSpec, canvas_spec, photo_spec, picture_specs
from .traceable import PhotoEncoder, PictureEncoder
from .verify import PADDING_VALUE

OUTPUT = "image_embeddings"


class EncoderInput(Protocol):
    """The inputs of an exported encoder."""

    @property
    def open_axes(self) -> dict[str, dict[int, str]]:
        """Axes whose length is open, as ``torch.onnx.export`` takes them."""

    def network(self, model: SamModel) -> nn.Module:
        """The encoder of a model from ``traceable.prepare``, with these inputs."""

    def example(self, canvas_size: int) -> tuple[Tensor, ...]:
        """Inputs to trace the network with."""

    def specs(self, canvas_size: int) -> tuple[TensorSpec, ...]:
        """Names, shapes and meanings of the inputs."""

    def feeds(self, content: Photo, canvas: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Inputs for one photo: named arrays.

        Args:
            content: the photo at its size on the canvas.
            canvas: (1, 3, S, S), the same photo normalised and padded.
        """


class CanvasInput:
    """Normalised canvases (B, 3, S, S) under a name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.open_axes = {name: {0: "photos"}, OUTPUT: {0: "photos"}}

    def network(self, model: SamModel) -> nn.Module:
        """See ``EncoderInput``."""
        encoder: nn.Module = model.image_encoder
        return encoder

    def example(self, canvas_size: int) -> tuple[Tensor, ...]:
        """See ``EncoderInput``."""
        return (torch.zeros(2, 3, canvas_size, canvas_size),)

    def specs(self, canvas_size: int) -> tuple[TensorSpec, ...]:
        """See ``EncoderInput``."""
        return (canvas_spec(canvas_size, self._name, "B"),)

    def feeds(self, content: Photo, canvas: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """See ``EncoderInput``."""
        return {self._name: canvas}


class PictureInput:
    """uint8 pixels (1, 3, S, S) and ``content_hw``; the network normalises and sets the padding to zero."""

    open_axes: ClassVar[dict[str, dict[int, str]]] = {}

    def network(self, model: SamModel) -> nn.Module:
        """See ``EncoderInput``."""
        return PictureEncoder(model.image_encoder, model.canvas_size)

    def example(self, canvas_size: int) -> tuple[Tensor, ...]:
        """See ``EncoderInput``."""
        content_hw = torch.tensor([float(canvas_size), float(canvas_size)])
        return torch.zeros(1, 3, canvas_size, canvas_size, dtype=torch.uint8), content_hw

    def specs(self, canvas_size: int) -> tuple[TensorSpec, ...]:
        """See ``EncoderInput``."""
        return picture_specs(canvas_size)

    def feeds(self, content: Photo, canvas: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """See ``EncoderInput``."""
        height, width = content.shape[:2]
        image = np.full(canvas.shape, PADDING_VALUE, dtype=np.uint8)
        image[0, :, :height, :width] = content.transpose(2, 0, 1)  # (H, W, 3) -> (3, H, W)
        return {"image": image, "content_hw": np.array([height, width], dtype=np.float32)}


class PhotoInput:
    """A photo at its size on the canvas, (H, W, 3) float32 in 0..255; the network normalises and pads it."""

    open_axes: ClassVar[dict[str, dict[int, str]]] = {"input_image": {0: "content_height", 1: "content_width"}}

    def network(self, model: SamModel) -> nn.Module:
        """See ``EncoderInput``."""
        return PhotoEncoder(model.image_encoder, model.canvas_size)

    def example(self, canvas_size: int) -> tuple[Tensor, ...]:
        """See ``EncoderInput``."""
        return (torch.zeros(canvas_size * 2 // 3, canvas_size, 3),)

    def specs(self, canvas_size: int) -> tuple[TensorSpec, ...]:
        """See ``EncoderInput``."""
        return (photo_spec(canvas_size),)

    def feeds(self, content: Photo, canvas: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """See ``EncoderInput``."""
        return {"input_image": content.astype(np.float32)}


def feeds_of(path: Path, encoder_input: EncoderInput, canvas_size: int) -> dict[str, NDArray[Any]]:
    """A photo's file -> named inputs of the encoder.

    Raises:
        PhotoError: the file is not a photo.
    """
    photo = read_photo(path)
    content = resize_photo(photo, fit_photo((photo.shape[0], photo.shape[1]), canvas_size))
    return encoder_input.feeds(content, normalise_and_pad(content, canvas_size))


CANVAS, PICTURE = CanvasInput("canvas"), PictureInput()

# Programs that load an exported pair, and what their encoder takes. Their decoder takes segment_anything's inputs on a
# canvas of 1024. Of its masks they show the first, or all of them one over the other: it must give one. They add a
# padding point to every prompt; beside a box SAM never saw one (it costs up to 0.14 of the mask's IoU): it is an empty
# slot.
CONVENTIONS: dict[str, EncoderInput] = {
    "samexporter": PhotoInput(),  # also AnyLabeling and X-AnyLabeling
    "osam": CanvasInput("x"),  # also labelme, which runs osam
}
