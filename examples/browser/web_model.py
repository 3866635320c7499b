"""An exported ONNX file -> the same network for the browser: fewer bytes to download, nothing computed in vain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.utils import Extractor

_SMALLEST = 1024  # numbers; smaller tensors (variances, the matrix of positions) keep float32
_UNUSED = ("masks", "orig_im_size")  # the page resizes masks itself, to the size of its view


def write_web_model(source: Path, target: Path, halve: bool) -> None:
    """Write the network without masks at photo size.

    Args:
        halve: store large tensors as fp16. They are float32 again when the network is loaded, so that computing takes
            the same time: WebAssembly has no fp16 arithmetic.
    """
    model = onnx.load(str(source))
    inputs, outputs = (
        [value.name for value in values if value.name not in _UNUSED]
        for values in (model.graph.input, model.graph.output)
    )
    network = Extractor(model).extract_model(inputs, outputs)
    network.doc_string = model.doc_string
    network.metadata_props.extend(model.metadata_props)
    if halve:
        _halve_weights(network.graph)
    onnx.checker.check_model(network, full_check=True)
    onnx.save(network, str(target))


def _halve_weights(graph: Any) -> None:
    """Large float32 tensors become fp16 ones and a cast, which onnxruntime computes once, when it loads the file."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _SMALLEST:
            continue
        name, stored = tensor.name, f"{tensor.name}_fp16"
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], name=f"{name}_cast", to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
