"""ONNX Runtime as a backend, for files of ``repvit-sam export onnx``; needs no torch, timm or segment_anything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..canvas import EMBEDDING_CHANNELS, EMBEDDING_STRIDE
from ..errors import CheckpointError
from ..foreign_json import read_foreign_json
from ..prompts import CanvasPrompts
from .onnx_session import decoder_feeds, open_session


class OnnxBackend:
    """An exported encoder and decoder in ONNX Runtime, for ``SamPredictor``.

    Args:
        folder: holds encoder.onnx, decoder.onnx and manifest.json.
        device: "auto" and "cpu" compute on the CPU, "cuda" on the GPU if onnxruntime-gpu is installed.
        canvas: side of the canvas in pixels; None takes the one that was exported, any other is refused.

    Raises:
        CheckpointError: files are missing, damaged, or do not belong together.
        ValueError: ONNX Runtime does not have this device here, or the files were exported for another canvas.
    """

    def __init__(self, folder: str | os.PathLike[str], device: str = "auto", canvas: int | None = None) -> None:
        self.folder = Path(folder)
        files = _manifest(self.folder)
        encoder, decoder = files["encoder.onnx"], files["decoder.onnx"]
        for key in ("canvas", "checkpoint_sha256"):
            if encoder[key] != decoder[key]:
                raise CheckpointError(f"encoder.onnx and decoder.onnx in {folder} differ in {key}; export both again")
        inputs = [one["name"] for one in encoder["inputs"]]
        if inputs != ["canvas"]:
            raise CheckpointError(
                f"{folder}/encoder.onnx takes {' and '.join(inputs)}, not the normalised canvas; export it without "
                "--picture and --convention"
            )
        if decoder.get("single_mask"):
            raise CheckpointError(
                f"{folder}/decoder.onnx has one mask for each prompt; export it without --single-mask"
            )
        self.canvas_size = int(encoder["canvas"])
        if canvas not in (None, self.canvas_size):
            raise ValueError(f"{folder} was exported for a canvas of {self.canvas_size}, not {canvas}")
        self.variant = str(encoder["variant"])
        self.device = "cpu" if device == "auto" else device
        self.precision = str(encoder.get("precision", "fp32"))
        self._fingerprint = str(encoder["encoder_fingerprint"])
        self._encoder = open_session(self.folder / "encoder.onnx", self.device)
        self._decoder = open_session(self.folder / "decoder.onnx", self.device)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and deepcopy: opened again, from the same folder."""
        return type(self), (self.folder.absolute(), self.device, self.canvas_size)

    @property
    def label(self) -> str:
        """See ``Backend``."""
        return f"ONNX Runtime {self.precision}"

    def encode(self, canvas: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``; several canvases (B, 3, S, S) are taken as well."""
        side = self.canvas_size
        if canvas.ndim != 4 or canvas.shape[1:] != (3, side, side):
            raise ValueError(f"a canvas must have shape (B, 3, {side}, {side}), got {canvas.shape}")
        (embedding,) = self._encoder.run(["image_embeddings"], {"canvas": np.asarray(canvas, dtype=np.float32)})
        return embedding

    def decode(
        self, image_embedding: NDArray[np.float32], prompts: CanvasPrompts, masks: slice
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See ``Backend``."""
        grid = self.canvas_size // EMBEDDING_STRIDE
        if image_embedding.shape != (1, EMBEDDING_CHANNELS, grid, grid):
            expected = (1, EMBEDDING_CHANNELS, grid, grid)
            raise ValueError(f"an image embedding must have shape {expected}, got {image_embedding.shape}")
        feeds = decoder_feeds(image_embedding, prompts)
        logits, ious = self._decoder.run(["low_res_masks", "iou_predictions"], feeds)
        return logits[:, masks], ious[:, masks]

    def decode_confident(
        self, image_embedding: NDArray[np.float32], prompts: CanvasPrompts, masks: slice, min_iou: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See ``Backend``."""
        logits, ious = self.decode(image_embedding, prompts, masks)
        return logits[ious > min_iou], ious

    def fingerprint(self) -> str:
        """See ``Backend``."""
        return self._fingerprint

    def from_numpy(self, image_embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``."""
        return image_embedding


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    if not folder.is_dir() or not path.is_file():
        raise CheckpointError(f"{folder} is not a folder that `repvit-sam export onnx` wrote (no manifest.json in it)")
    try:
        files: dict[str, Any] = read_foreign_json(path)["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path} is damaged; run repvit-sam export onnx again") from None
    for name in ("encoder.onnx", "decoder.onnx"):
        if name not in files or not (folder / name).is_file():
            raise CheckpointError(f"{folder} has no {name}; run repvit-sam export onnx --part both")
    return files
