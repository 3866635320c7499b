"""Fewer bits for exported files: ONNX in fp16 and int8, Core ML weights in 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ExportError
from .libraries import quiet_coremltools, quiet_quantization


def to_fp16(source: Path, target: Path) -> None:
    """Write an ONNX file that computes in fp16; its inputs and outputs stay float32.

    Coordinates and photo sizes are computed in float32: fp16 would move them by pixels.
    """
    import onnx

    try:
        from onnxruntime.transformers.float16 import convert_float_to_float16
        from onnxruntime.transformers.onnx_model import OnnxModel
    except ImportError as error:
        raise ExportError(f"fp16 needs onnxruntime ({error}): pip install 'repvit-sam[export]'") from None
    model = onnx.load(str(source))
    float32_nodes = _nodes_up_to(model.graph, ("Sin", "Cos")) | _photo_size_nodes(model.graph)
    half = convert_float_to_float16(model, keep_io_types=True, node_block_list=sorted(float32_nodes))
    OnnxModel.graph_topological_sort(half.graph)  # the conversion appends its casts at the end
    onnx.save(half, str(target))


def to_int8(
    source: Path,
    target: Path,
    photos: Sequence[Path],
    feeds: Callable[[Path], dict[str, NDArray[Any]]],
    log_progress: Callable[[int, int], None],
) -> None:
    """Write an encoder with its convolutions in 8 bits (QDQ, one scale for each channel).

    The first convolution, which reads pixels, and the neck's two, which make the embedding, keep float32. For the
    cost in mask quality see docs/deployment.md.

    Args:
        photos: files, to measure the ranges of activations on.
        feeds: a file -> named inputs of the encoder.
        log_progress: called with the number of photos done and their total.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = source.with_name(f"prepared.{source.name}")
    with quiet_quantization():
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        convolutions = [node.name for node in onnx.load(str(prepared)).graph.node if node.op_type == "Conv"]
        quantization.quantize_static(
            str(prepared),
            str(target),
            _CalibrationData(photos, feeds, log_progress),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[convolutions[0], *convolutions[-2:]],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
            extra_options={"CalibMovingAverage": True, "CalibMovingAverageConstant": 0.05},
        )
    prepared.unlink()


def quantize_coreml_weights(package: Any, precision: str) -> Any:
    """The package with its weights in 8 bits for palette8 and linear8, unchanged for other precisions."""
    from coremltools.optimize import coreml as optimize

    with quiet_coremltools():
        if precision == "palette8":
            per_op = optimize.OpPalettizerConfig(mode="custom", lut_function=palette)
            return optimize.palettize_weights(package, optimize.OptimizationConfig(global_config=per_op))
        if precision == "linear8":
            symmetric = optimize.OpLinearQuantizerConfig(mode="linear_symmetric")
            return optimize.linear_quantize_weights(package, optimize.OptimizationConfig(global_config=symmetric))
    return package


def palette(weight: Any) -> tuple[Any, Any]:
    """The 256 values that approximate a tensor best (k-means in one dimension), and each weight's index in them."""
    numbers = np.sort(np.asarray(weight, dtype=np.float64).reshape(-1))
    sums = np.concatenate([[0.0], np.cumsum(numbers)])
    # start with values as dense as the cube root of the weights' density (Panter and Dite 1951), then run k-means
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


class _CalibrationData:
    """onnxruntime's ``CalibrationDataReader``: one photo on its canvas for each call, None at the end."""

    def __init__(
        self,
        photos: Sequence[Path],
        feeds: Callable[[Path], dict[str, NDArray[Any]]],
        log_progress: Callable[[int, int], None],
    ) -> None:
        self._photos, self._feeds, self._log_progress = list(photos), feeds, log_progress
        self._next = 0

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        if self._next == len(self._photos):
            return None
        feeds = self._feeds(self._photos[self._next])
        self._next += 1
        self._log_progress(self._next, len(self._photos))
        return feeds

    def __iter__(self) -> _CalibrationData:
        return self

    def __next__(self) -> dict[str, NDArray[Any]]:
        feed = self.get_next()
        if feed is None:
            raise StopIteration
        return feed


def _nodes_up_to(graph: Any, op_types: tuple[str, ...]) -> set[str]:
    """Names of the nodes of these types and of all nodes whose results reach them."""
    producers = {output: node for node in graph.node for output in node.output}
    pending = [node for node in graph.node if node.op_type in op_types]
    found: set[str] = set()
    while pending:
        node = pending.pop()
        if node.name not in found:
            found.add(node.name)
            pending += [producers[name] for name in node.input if name in producers]
    return found


def _photo_size_nodes(graph: Any) -> set[str]:
    """Names of the nodes that compute with the size of the photo."""
    reached, found = {"orig_im_size"}, set()
    for node in graph.node:
        if node.op_type not in ("Resize", "Slice") and reached.intersection(node.input):
            found.add(node.name)
            reached.update(node.output)
    return found
