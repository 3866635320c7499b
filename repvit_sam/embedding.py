"""An encoded photo: the image embedding and the photo's place on the canvas; saved to files and loaded."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .canvas import EMBEDDING_STRIDE, CanvasFit
from .errors import CheckpointError
from .files import atomic_write
from .photo import Photo

if TYPE_CHECKING:
    from torch import nn

_FORMAT = "repvit-sam-embedding/1"


@dataclass(frozen=True)
class EncodedPhoto:
    """A photo after the image encoder: all that is needed to decode prompts on it.

    Attributes:
        image_embedding: (1, 256, S/16, S/16), an array of the backend that made it: a tensor on PyTorch, else NumPy's.
        fit: the photo's size and its place on the canvas.
        photo: (H, W, 3), for a second look (refine.py); None where only the embedding is known, as after loading.

    Example:
        >>> import repvit_sam
        >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu"))
        >>> predictor.set_image(repvit_sam.example_photo("coffee"))
        >>> encoded = predictor.encoded  # keep it, and set it again later
        >>> tuple(encoded.image_embedding.shape), encoded.fit.photo_hw, encoded.fit.content_hw
        ((1, 256, 64, 64), (400, 600), (683, 1024))
        >>> predictor.encoded = encoded
    """

    image_embedding: Any
    fit: CanvasFit
    photo: Photo | None = field(default=None, repr=False, compare=False)


def encoder_fingerprint(encoder: nn.Module) -> str:
    """SHA-256 over the encoder's names and values; the same for equal weights, whether fused, fp16 or fp32."""
    before_fusing = getattr(encoder, "fingerprint_before_fusing", None)
    if isinstance(before_fusing, str):
        return before_fusing
    digest = hashlib.sha256()
    for name, value in sorted(encoder.state_dict().items()):
        if not name.endswith(".num_batches_tracked"):
            digest.update(name.encode())
            digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_embedding(encoded: EncodedPhoto, path: str | os.PathLike[str], fingerprint: str) -> None:
    """Write one encoded photo to a safetensors file (4 MB), with the fingerprint of the encoder that made it."""
    from safetensors.numpy import save_file

    metadata = {
        "format": _FORMAT,
        "encoder": fingerprint,
        "photo_hw": "{}x{}".format(*encoded.fit.photo_hw),
        "content_hw": "{}x{}".format(*encoded.fit.content_hw),
        "canvas": str(encoded.fit.canvas_size),
    }
    with atomic_write(path) as beside:
        save_file({"image_embedding": np.ascontiguousarray(as_numpy(encoded.image_embedding))}, beside, metadata)


def load_embedding(
    path: str | os.PathLike[str], fingerprint: str, canvas_size: int
) -> tuple[NDArray[np.float32], CanvasFit]:
    """Read an encoded photo: its image embedding and its place on the canvas.

    Args:
        fingerprint, canvas_size: those of the model that is going to decode it.

    Raises:
        CheckpointError: missing, damaged, no embedding file, or made by another encoder or on another canvas.
    """
    from safetensors import safe_open

    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist")
    try:
        with safe_open(str(path), framework="np") as stream:
            metadata = stream.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise CheckpointError(f"{path} is no embedding saved by SamPredictor.save_embedding")
            embedding = stream.get_tensor("image_embedding")
        fit = CanvasFit(_size(metadata["photo_hw"]), _size(metadata["content_hw"]), int(metadata["canvas"]))
        made_by = metadata["encoder"]
    except CheckpointError:
        raise
    except Exception as error:  # SafetensorError, OSError, KeyError, and TypeError for numbers that NumPy does not have
        raise CheckpointError(f"{path} is a damaged or cut-off embedding file ({error})") from None
    if made_by != fingerprint:
        raise CheckpointError(f"{path} was made by another image encoder than this model's; call set_image again")
    if fit.canvas_size != canvas_size:
        raise CheckpointError(
            f"{path} was made on a canvas of {fit.canvas_size}, this model's is {canvas_size}; call set_image again"
        )
    grid = canvas_size // EMBEDDING_STRIDE
    if embedding.ndim != 4 or embedding.shape[0] != 1 or embedding.shape[2:] != (grid, grid):
        raise CheckpointError(
            f"{path} must hold an embedding (1, C, {grid}, {grid}), got {tuple(embedding.shape)}; call set_image again"
        )
    return embedding, fit


def as_numpy(array: Any) -> NDArray[Any]:
    """A tensor on any device, or a NumPy array -> a NumPy array."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()


def on_cpu(array: Any) -> Any:
    """A tensor on any device -> on the CPU; a NumPy array as it is."""
    return array if isinstance(array, np.ndarray) else array.cpu()


def _size(text: str) -> tuple[int, int]:
    height, width = text.split("x")
    return int(height), int(width)
