"""Run a saved Core ML package without Core ML: interpret its MIL program with PyTorch.

Core ML runs only on Apple's systems. This interpreter lets an export be checked on any system: it computes the
operations of the saved file one by one. The result of an fp16 operation is rounded to fp16, as the Neural Engine does;
sums inside an operation are kept in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .mil_operations import OPERATIONS


class MilProgram:
    """The main function of a saved ``.mlpackage``.

    Raises:
        NotImplementedError: on a call, for an operation that this interpreter does not have.
    """

    def __init__(self, package: Path) -> None:
        from coremltools.converters.mil.frontend.milproto.load import load
        from coremltools.models import MLModel

        model = MLModel(str(package), skip_model_load=True)
        spec = model.get_spec()
        program = load(spec, spec.specificationVersion, model.weights_dir)
        self._main = program.functions["main"]

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Named arrays -> named arrays, float32."""
        values: dict[Any, Any] = {}
        for name, variable in self._main.inputs.items():
            values[variable] = _rounded(torch.as_tensor(np.asarray(inputs[name], dtype=np.float32)), variable)
        last_use = self._last_uses()
        for index, op in enumerate(self._main.operations):
            if op.op_type != "const":
                self._compute(op, values)
            for variable in last_use.get(index, ()):
                values.pop(variable, None)
        return {variable.name: values[variable].numpy() for variable in self._main.outputs}

    def _compute(self, op: Any, values: dict[Any, Any]) -> None:
        if op.op_type.startswith("constexpr_"):  # compressed weights
            values[op.outputs[0]] = torch.as_tensor(np.asarray(op.materialized_val_inference(), dtype=np.float32))
            return
        if op.op_type not in OPERATIONS:
            raise NotImplementedError(f"this interpreter does not have the MIL operation {op.op_type}")
        named = {name: _value(variable, values) for name, variable in op.inputs.items()}
        results = OPERATIONS[op.op_type](named)
        results = results if isinstance(results, tuple) else (results,)
        for variable, result in zip(op.outputs, results, strict=True):
            values[variable] = _rounded(result, variable)

    def _last_uses(self) -> dict[int, list[Any]]:
        """Index of an operation -> the values that no later operation reads."""
        last: dict[Any, int] = {}
        for index, op in enumerate(self._main.operations):
            for variable in op.inputs.values():
                for one in variable if isinstance(variable, (list, tuple)) else (variable,):
                    last[one] = index
        kept = set(self._main.outputs)
        uses: dict[int, list[Any]] = {}
        for variable, index in last.items():
            if variable not in kept:
                uses.setdefault(index, []).append(variable)
        return uses


def _value(variable: Any, values: dict[Any, Any]) -> Any:
    if isinstance(variable, (list, tuple)):
        return [_value(one, values) for one in variable]
    if variable in values:
        return values[variable]
    constant = variable.val
    if isinstance(constant, (np.ndarray, np.floating)) and np.asarray(constant).dtype.kind == "f":
        return torch.as_tensor(np.asarray(constant, dtype=np.float32))
    if isinstance(constant, np.generic):
        return constant.item()
    return constant


def _rounded(result: Any, variable: Any) -> Any:
    """fp16 values are stored as float32, rounded to what fp16 can hold."""
    if isinstance(result, Tensor) and result.is_floating_point() and _is_half(variable):
        return result.half().float()
    return result


def _is_half(variable: Any) -> bool:
    dtype = variable.dtype
    return getattr(dtype, "get_bitwidth", lambda: 0)() == 16
