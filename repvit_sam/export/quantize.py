"""ONNX files in fewer bits: fp16, and int8 calibrated on photographs."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..canvas import photo_to_canvas
from ..errors import ExportError, PhotoError
from ..photo import find_photos, read_photo

CALIBRATION_PHOTOS = 32  # box mIoU stays within 0.1 points with them (docs/deployment.md)


def to_fp16(source: Path, target: Path) -> None:
    """Compute in fp16, take and give float32. Coordinates and photo sizes keep float32: fp16 would move them."""
    import onnx

    try:
        from onnxruntime.transformers.float16 import convert_float_to_float16
        from onnxruntime.transformers.onnx_model import OnnxBackend
    except ImportError as error:
        raise ExportError(f"fp16 needs onnxruntime ({error}): pip install 'repvit-sam[export]'") from None
    model = onnx.load(str(source))
    kept = _before(model.graph, ("Sin", "Cos")) | _sizes(model.graph)
    half = convert_float_to_float16(model, keep_io_types=True, node_block_list=sorted(kept))
    OnnxBackend.graph_topological_sort(half.graph)  # casts were appended at the end
    onnx.save(half, str(target))


def to_int8(
    source: Path, target: Path, photos: Sequence[Path], canvas_size: int, done: Callable[[int, int], None]
) -> None:
    """The encoder's convolutions in 8 bits (QDQ, a scale a channel), ranges of activations from photographs.

    The first convolution sees pixels and the neck makes the embedding; both stay as they are (docs/deployment.md has
    what it costs in masks).
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = source.with_name(f"prepared.{source.name}")
    with _quiet():
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        convolutions = [node.name for node in onnx.load(str(prepared)).graph.node if node.op_type == "Conv"]
        quantization.quantize_static(
            str(prepared),
            str(target),
            _Canvases(photos, canvas_size, done),
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


def calibration_photos(folder: str | Path) -> list[Path]:
    """Up to 32 photos of a folder, spread over it evenly; PhotoError where there are none."""
    if not Path(folder).is_dir():
        raise PhotoError(f"{folder} is no folder; calibration takes a folder of photographs")
    found = find_photos([str(folder)])
    places = np.linspace(0, len(found) - 1, min(CALIBRATION_PHOTOS, len(found))).round().astype(int)
    return [found[place] for place in places]


class _Canvases:
    """What onnxruntime's calibration asks for: one feed a call, None at the end."""

    def __init__(self, photos: Sequence[Path], canvas_size: int, done: Callable[[int, int], None]) -> None:
        self._photos, self._canvas_size, self._done = list(photos), canvas_size, done
        self._next = 0

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        if self._next == len(self._photos):
            return None
        canvas, _ = photo_to_canvas(read_photo(self._photos[self._next]), self._canvas_size)
        self._next += 1
        self._done(self._next, len(self._photos))
        return {"canvas": canvas}

    def __iter__(self) -> _Canvases:
        return self

    def __next__(self) -> dict[str, NDArray[np.float32]]:
        feed = self.get_next()
        if feed is None:
            raise StopIteration
        return feed


def _before(graph: Any, kinds: tuple[str, ...]) -> set[str]:
    """Names of these nodes and of all nodes that lead to them."""
    makers = {output: node for node in graph.node for output in node.output}
    waiting = [node for node in graph.node if node.op_type in kinds]
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        if node.name not in found:
            found.add(node.name)
            waiting += [makers[name] for name in node.input if name in makers]
    return found


def _sizes(graph: Any) -> set[str]:
    """Names of the nodes that compute with the size of the photo."""
    reached, found = {"orig_im_size"}, set()
    for node in graph.node:
        if node.op_type not in ("Resize", "Slice") and reached.intersection(node.input):
            found.add(node.name)
            reached.update(node.output)
    return found


@contextlib.contextmanager
def _quiet() -> Any:
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(level)
