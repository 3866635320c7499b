"""A model -> Core ML packages for iOS 16, macOS 13 and later, every shape fixed for the Neural Engine."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..canvas import EMBEDDING_CHANNELS, EMBEDDING_STRIDE, LOGITS_STRIDE
from ..errors import ExportError
from ..modeling.sam import SamModel
from .traceable import CoreMLDecoder, PictureEncoder

PRECISIONS = ("fp16", "fp32", "palette8", "linear8")  # the last two: fp16 that keeps its weights in 8 bits
PROMPT_SLOTS = 16  # points and box corners that one call takes
LARGEST_CANVAS = 2048  # places on the canvas are counted in fp16, which holds every integer up to here


def coremltools() -> Any:
    """The library, imported when it is needed, without what it says while it looks for Apple's parts."""
    with _quiet():
        try:
            import coremltools
        except ImportError:
            raise ExportError("Core ML export needs its extra: pip install 'repvit-sam[export]'") from None
    return coremltools


def convert_encoder(model: SamModel, precision: str, picture: bool) -> Any:
    """The fused encoder as a coremltools ``MLModel``.

    Args:
        picture: take an RGB picture and ``content_hw``, normalise and blank the padding inside; False takes the
            finished canvas as a tensor.
    """
    ct = coremltools()
    side = model.canvas_size
    canvas = torch.zeros(1, 3, side, side)
    if picture:
        network: nn.Module = PictureEncoder(model.image_encoder, side)
        example: tuple[Tensor, ...] = (canvas, torch.tensor([float(side), float(side)]))
        inputs = [
            ct.ImageType("image", shape=(1, 3, side, side), color_layout=ct.colorlayout.RGB),
            ct.TensorType("content_hw", shape=(2,), dtype=np.float32),
        ]
    else:
        network, example = model.image_encoder, (canvas,)
        inputs = [ct.TensorType("canvas", shape=(1, 3, side, side), dtype=np.float32)]
    return _convert(network, example, inputs, {"image_embedding": None}, precision)


def convert_decoder(model: SamModel, precision: str, upscaled: bool = False, slots: int = PROMPT_SLOTS) -> Any:
    """Prompt encoder and mask decoder as a coremltools ``MLModel``; ``upscaled`` adds logits on the canvas."""
    ct = coremltools()
    grid, low = model.canvas_size // EMBEDDING_STRIDE, model.canvas_size // LOGITS_STRIDE
    shapes = {
        "image_embedding": (1, EMBEDDING_CHANNELS, grid, grid),
        "point_coords": (1, slots, 2),
        "point_labels": (1, slots),
        "mask_input": (1, 1, low, low),
        "has_mask_input": (1,),
    }
    # the encoder's output goes in as it comes out; coordinates need more digits than fp16 has
    half = np.float32 if precision == "fp32" else np.float16
    kinds = {name: np.float32 for name in shapes} | {"image_embedding": half}
    inputs = [ct.TensorType(name, shape=shape, dtype=kinds[name]) for name, shape in shapes.items()]
    outputs = {"low_res_logits": np.float32, "iou_predictions": np.float32}
    if upscaled:
        outputs["logits"] = np.float32
    example = tuple(torch.zeros(shape) for shape in shapes.values())
    return _convert(CoreMLDecoder(model, upscaled).eval(), example, inputs, outputs, precision)


def _convert(
    network: nn.Module, example: tuple[Tensor, ...], inputs: list[Any], outputs: dict[str, Any], precision: str
) -> Any:
    ct = coremltools()
    half = ct.transform.FP16ComputePrecision(op_selector=lambda op: not _leads_to_sine(op))
    with _quiet(), torch.no_grad():
        # not torch.jit.trace: sizes that it leaves in the graph are more than coremltools reads with a recent NumPy
        exported = torch.export.export(network.eval(), example).run_decompositions({})
        package = ct.convert(
            exported,
            inputs=inputs,
            outputs=[ct.TensorType(name, dtype=_output_type(kind, precision)) for name, kind in outputs.items()],
            minimum_deployment_target=ct.target.iOS16,
            compute_precision=ct.precision.FLOAT32 if precision == "fp32" else half,
            convert_to="mlprogram",
        )
    return _compress(package, precision)


def _output_type(kind: Any, precision: str) -> Any:
    if kind is not None:
        return kind
    return np.float32 if precision == "fp32" else np.float16


def _compress(package: Any, precision: str) -> Any:
    from coremltools.optimize import coreml as optimize

    with _quiet():
        if precision == "palette8":
            palette = optimize.OpPalettizerConfig(mode="custom", lut_function=_palette)
            return optimize.palettize_weights(package, optimize.OptimizationConfig(global_config=palette))
        if precision == "linear8":
            linear = optimize.OpLinearQuantizerConfig(mode="linear_symmetric")
            return optimize.linear_quantize_weights(package, optimize.OptimizationConfig(global_config=linear))
    return package


def _palette(weight: Any) -> tuple[Any, Any]:
    """The 256 values that stand best for a tensor (k-means in one dimension), and which of them each number takes."""
    numbers = np.sort(np.asarray(weight, dtype=np.float64).reshape(-1))
    sums = np.concatenate([[0.0], np.cumsum(numbers)])
    # where the best values lie: with the cube root of the density (Panter and Dite 1951); k-means finishes from there
    counts, edges = np.histogram(numbers, 64)
    share = np.concatenate([[0.0], np.cumsum(np.cbrt(counts))])
    values = np.interp((np.arange(256) + 0.5) / 256, share / share[-1], edges)
    for _ in range(30):
        borders = np.searchsorted(numbers, (values[1:] + values[:-1]) / 2)
        ends = np.concatenate([[0], borders, [numbers.size]])
        counts = np.diff(ends)
        means = np.diff(sums[ends]) / np.maximum(counts, 1)
        values = np.sort(np.where(counts > 0, means, values))
    indices = np.searchsorted((values[1:] + values[:-1]) / 2, np.asarray(weight, dtype=np.float64).reshape(-1))
    return values.astype(np.asarray(weight).dtype), indices.astype(np.uint8)


def _leads_to_sine(op: Any) -> bool:
    """Whether an operation makes the angles of prompts: 2 pi times a coordinate, which fp16 would move by pixels."""
    if op.op_type in ("sin", "cos"):
        return True
    children = [child for output in op.outputs for child in output.child_ops]
    return any(_leads_to_sine(child) for child in children if child.op_type in _BEFORE_SINE)


_BEFORE_SINE = ("sin", "cos", "add", "sub", "mul", "real_div", "matmul", "linear", "const", "cast")


@contextmanager
def _quiet() -> Iterator[None]:
    """coremltools tells of versions that it was not tried with, and draws bars: neither is for a user."""
    loggers = [logging.getLogger(name) for name in ("coremltools", "coremltools.converters")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
