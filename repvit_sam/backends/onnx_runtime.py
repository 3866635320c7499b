"""ONNX Runtime as a backend, for files of ``repvit-sam export onnx``; needs no torch, timm or segment_anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..canvas import EMBEDDING_CHANNELS, EMBEDDING_STRIDE, LOGITS_STRIDE
from ..errors import CheckpointError
from ..prompts import CanvasPrompts
from .onnx_session import open_session


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
        if decoder.get("single_mask"):
            raise CheckpointError(
                f"{folder}/decoder.onnx has one mask for each prompt; export it without --single-mask"
            )
        self.canvas_size = int(encoder["canvas"])
        if canvas not in (None, self.canvas_size):
            raise ValueError(f"{folder} was exported for a canvas of {self.canvas_size}, not {canvas}")
        self.variant = str(encoder["variant"])
        self.device = "cpu" if device == "auto" else device
        self._fingerprint = str(encoder["encoder_fingerprint"])
        if any(one["name"] == "image" for one in encoder["inputs"]):
            raise CheckpointError(f"{folder}/encoder.onnx takes uint8 pixels; export it without --picture")
        self._encoder = open_session(self.folder / "encoder.onnx", self.device)
        self._decoder = open_session(self.folder / "decoder.onnx", self.device)

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
        grid, low = self.canvas_size // EMBEDDING_STRIDE, self.canvas_size // LOGITS_STRIDE
        if image_embedding.shape != (1, EMBEDDING_CHANNELS, grid, grid):
            expected = (1, EMBEDDING_CHANNELS, grid, grid)
            raise ValueError(f"an image embedding must have shape {expected}, got {image_embedding.shape}")
        given = prompts.mask_input is not None
        mask_input = prompts.mask_input if given else np.zeros((1, 1, low, low))
        coords, labels = labelled_points(
            prompts.point_coords, prompts.point_labels, prompts.boxes, count=len(mask_input)
        )
        feeds = {
            "image_embeddings": image_embedding,
            "point_coords": coords,
            "point_labels": labels,
            "mask_input": np.asarray(mask_input, dtype=np.float32),
            "has_mask_input": np.array([float(given)], dtype=np.float32),
            "orig_im_size": np.array([low, low], dtype=np.float32),  # not used: masks.py resizes
        }
        logits, ious = self._decoder.run(["low_res_masks", "iou_predictions"], feeds)
        return logits[:, masks], ious[:, masks]

    def fingerprint(self) -> str:
        """See ``Backend``."""
        return self._fingerprint

    def from_numpy(self, image_embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``."""
        return image_embedding


def labelled_points(
    point_coords: NDArray[Any] | None, point_labels: NDArray[Any] | None, boxes: NDArray[Any] | None, count: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points and boxes as an exported decoder takes them: (B, N, 2) coordinates and (B, N) labels.

    A box becomes its two corners with labels 2 and 3. Points without a box get one padding point, label -1, as in SAM's
    training. A mask alone has no points.

    Args:
        count: B, if there are neither points nor boxes.
    """
    coords: list[NDArray[Any]] = []
    labels: list[NDArray[Any]] = []
    if point_coords is not None and point_labels is not None:
        coords.append(np.asarray(point_coords))
        labels.append(np.asarray(point_labels))
        count = len(point_coords)
    if boxes is not None:
        coords.append(np.asarray(boxes).reshape(-1, 2, 2))
        labels.append(np.tile([2, 3], (len(boxes), 1)))
    elif coords:
        coords.append(np.zeros((count, 1, 2)))
        labels.append(np.full((count, 1), -1))
    if not coords:
        return np.zeros((count, 0, 2), dtype=np.float32), np.zeros((count, 0), dtype=np.float32)
    return np.concatenate(coords, axis=1).astype(np.float32), np.concatenate(labels, axis=1).astype(np.float32)


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    if not folder.is_dir() or not path.is_file():
        raise CheckpointError(f"{folder} is not a folder that `repvit-sam export onnx` wrote (no manifest.json in it)")
    try:
        files: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path} is damaged; run repvit-sam export onnx again") from None
    for name in ("encoder.onnx", "decoder.onnx"):
        if name not in files or not (folder / name).is_file():
            raise CheckpointError(f"{folder} has no {name}; run repvit-sam export onnx --part both")
    return files
