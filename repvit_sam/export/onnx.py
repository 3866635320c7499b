"""A model -> ONNX files: an encoder, and a decoder with the names that segment_anything's export gave the field."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..canvas import EMBEDDING_CHANNELS, EMBEDDING_STRIDE, LOGITS_STRIDE
from ..errors import ExportError
from ..modeling.sam import SamModel
from .traceable import OnnxDecoder, PictureEncoder

OPSET = 17  # has LayerNormalization; what segment_anything's export and onnxruntime-web know


def write_encoder(model: SamModel, path: Path, picture: bool = False) -> None:
    """The fused encoder.

    Args:
        picture: take uint8 pixels and ``content_hw``, normalise and blank the padding inside, one photo a call; False
            takes finished canvases, any number of them.
    """
    side = model.canvas_size
    if picture:
        example: tuple[Tensor, ...] = (
            torch.zeros(1, 3, side, side, dtype=torch.uint8),
            torch.tensor([float(side), float(side)]),
        )
        network: nn.Module = PictureEncoder(model.image_encoder, side)
        _write(network, example, path, ["image", "content_hw"], ["image_embeddings"], {})
        return
    open_batch = {"canvas": {0: "photos"}, "image_embeddings": {0: "photos"}}
    _write(model.image_encoder, (torch.zeros(2, 3, side, side),), path, ["canvas"], ["image_embeddings"], open_batch)


def write_decoder(model: SamModel, path: Path, single_mask: bool = False) -> None:
    """Prompt encoder and mask decoder: B prompts of N labelled points each on one embedding."""
    grid, low = model.canvas_size // EMBEDDING_STRIDE, model.canvas_size // LOGITS_STRIDE
    example = {
        "image_embeddings": torch.zeros(1, EMBEDDING_CHANNELS, grid, grid),
        "point_coords": torch.ones(2, 5, 2),
        "point_labels": torch.ones(2, 5),
        "mask_input": torch.zeros(2, 1, low, low),
        "has_mask_input": torch.ones(1),
        "orig_im_size": torch.tensor([300.0, 400.0]),
    }
    open_axes = {
        "point_coords": {0: "prompts", 1: "points"},
        "point_labels": {0: "prompts", 1: "points"},
        "mask_input": {0: "prompts_or_1"},
        "masks": {0: "prompts", 2: "photo_height", 3: "photo_width"},
        "iou_predictions": {0: "prompts"},
        "low_res_masks": {0: "prompts"},
    }
    outputs = ["masks", "iou_predictions", "low_res_masks"]
    _write(OnnxDecoder(model, single_mask), tuple(example.values()), path, list(example), outputs, open_axes)


def _write(
    network: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    open_axes: dict[str, dict[int, str]],
) -> None:
    onnx, onnxslim = _libraries()
    # torch's newer exporter (dynamo) binds a mask's batch of 1 to the number of prompts; the older one leaves it open
    older: dict[str, Any] = {"dynamo": False} if _has_dynamo() else {}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            example,
            str(path),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=open_axes,
            opset_version=OPSET,
            do_constant_folding=True,
            **older,
        )
    onnx.save(onnxslim.slim(onnx.load(str(path))), str(path))
    check(path)


def check(path: Path) -> None:
    """Raise ExportError unless the file is sound ONNX."""
    onnx, _ = _libraries()
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:
        raise ExportError(f"{path.name} is no sound ONNX file: {str(error).splitlines()[0]}") from error


def _has_dynamo() -> bool:
    import inspect

    return "dynamo" in inspect.signature(torch.onnx.export).parameters


def _libraries() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxslim  # wheels for every system, and torch is not asked; onnx-simplifier compiles a runtime
    except ImportError as error:
        raise ExportError(f"ONNX export needs its extra ({error}): pip install 'repvit-sam[export]'") from None
    return onnx, onnxslim
