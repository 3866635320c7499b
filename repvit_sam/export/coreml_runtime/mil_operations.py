"""The MIL operations of exported packages, computed with PyTorch: named inputs -> output, or a tuple of outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Operation = Callable[[dict[str, Any]], Any]


def _ints(value: Any) -> list[int]:
    return [int(one) for one in np.asarray(value).reshape(-1)]


def _conv(x: dict[str, Any]) -> Tensor:
    pads = _pads(x)
    padded = F.pad(x["x"], (pads[2], pads[3], pads[0], pads[1]))
    return F.conv2d(
        padded,
        x["weight"],
        x.get("bias"),
        stride=tuple(_ints(x.get("strides", (1, 1)))),
        dilation=tuple(_ints(x.get("dilations", (1, 1)))),
        groups=int(x.get("groups", 1)),
    )


def _pads(x: dict[str, Any]) -> list[int]:
    """Top, bottom, left, right."""
    kind = x.get("pad_type", "valid")
    if kind == "valid":
        return [0, 0, 0, 0]
    if kind == "custom":
        return _ints(x["pad"])
    raise NotImplementedError(f"this interpreter does not have padding of type {kind!r}")


def _conv_transpose(x: dict[str, Any]) -> Tensor:
    if any(_pads(x)):
        raise NotImplementedError("this interpreter does not have transposed convolutions with padding")
    strides = tuple(_ints(x.get("strides", (1, 1))))
    return F.conv_transpose2d(x["x"], x["weight"], x.get("bias"), stride=strides, groups=int(x.get("groups", 1)))


def _batch_norm(x: dict[str, Any]) -> Tensor:
    return F.batch_norm(
        x["x"], x["mean"], x["variance"], x.get("gamma"), x.get("beta"), eps=float(x.get("epsilon", 1e-5))
    )


def _layer_norm(x: dict[str, Any]) -> Tensor:
    value, axes = x["x"], _ints(x.get("axes", [-1]))
    centred = value - value.mean(axes, keepdim=True)
    normal = centred / (centred.square().mean(axes, keepdim=True) + float(x.get("epsilon", 1e-5))).sqrt()
    shape = [value.shape[axis] if axis in [a % value.ndim for a in axes] else 1 for axis in range(value.ndim)]
    if x.get("gamma") is not None:
        normal = normal * x["gamma"].reshape(shape)
    return normal if x.get("beta") is None else normal + x["beta"].reshape(shape)


def _gelu(x: dict[str, Any]) -> Tensor:
    modes = {"EXACT": "none", "TANH_APPROXIMATION": "tanh"}
    return F.gelu(x["x"], approximate=modes[x.get("mode", "EXACT")])


def _matmul(x: dict[str, Any]) -> Tensor:
    left = x["x"].transpose(-1, -2) if x.get("transpose_x") else x["x"]
    right = x["y"].transpose(-1, -2) if x.get("transpose_y") else x["y"]
    return left @ right


def _slice_by_index(x: dict[str, Any]) -> Tensor:
    value = x["x"]
    begin, end = _ints(x["begin"]), _ints(x["end"])
    rank = value.ndim
    stride = _ints(x["stride"]) if x.get("stride") is not None else [1] * rank
    flags = {
        name: np.asarray(x[name]).reshape(-1).tolist() if x.get(name) is not None else [False] * rank
        for name in ("begin_mask", "end_mask", "squeeze_mask")
    }
    index: list[Any] = []
    for axis in range(rank):
        if flags["squeeze_mask"][axis]:
            index.append(begin[axis])
            continue
        start = None if flags["begin_mask"][axis] else begin[axis]
        stop = None if flags["end_mask"][axis] else end[axis]
        index.append(slice(start, stop, stride[axis]))
    return value[tuple(index)]


def _split(x: dict[str, Any]) -> tuple[Tensor, ...]:
    sizes = x.get("split_sizes")
    axis = int(x["axis"])
    if sizes is not None:
        return torch.split(x["x"], _ints(sizes), dim=axis)
    return torch.chunk(x["x"], int(x["num_splits"]), dim=axis)


def _upsample(x: dict[str, Any]) -> Tensor:
    value = x["x"]
    factors = float(x.get("scale_factor_height", 1)), float(x.get("scale_factor_width", 1))
    size = [round(side * factor) for side, factor in zip(value.shape[-2:], factors, strict=True)]
    aligned = bool(x.get("align_corners", True))
    return F.interpolate(value, size, mode="bilinear", align_corners=aligned)


def _pad(x: dict[str, Any]) -> Tensor:
    pairs = np.asarray(x["pad"]).reshape(-1, 2).tolist()
    flat = [int(n) for pair in reversed(pairs) for n in pair]
    return F.pad(x["x"], flat, value=float(x.get("constant_val", 0)))


def _reduction(reduce: Callable[..., Tensor]) -> Operation:
    def operation(x: dict[str, Any]) -> Tensor:
        axes = x.get("axes")
        dims = tuple(range(x["x"].ndim)) if axes is None else tuple(_ints(axes))
        return reduce(x["x"], dim=dims, keepdim=bool(x.get("keep_dims", False)))

    return operation


def _elementwise(function: Callable[[Any, Any], Any]) -> Operation:
    return lambda x: function(torch.as_tensor(x["x"]), torch.as_tensor(x["y"]))


def _expand_dims(x: dict[str, Any]) -> Tensor:
    value = x["x"]
    for axis in sorted(_ints(x["axes"])):
        value = value.unsqueeze(axis)
    return value


OPERATIONS: dict[str, Operation] = {
    "abs": lambda x: x["x"].abs(),
    "add": _elementwise(torch.add),
    "batch_norm": _batch_norm,
    "cast": lambda x: x["x"].to(torch.int32) if str(x["dtype"]).startswith("int") else x["x"].float(),
    "clip": lambda x: x["x"].clamp(float(x["alpha"]), float(x["beta"])),
    "concat": lambda x: torch.cat(list(x["values"]), dim=int(x["axis"])),
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "cos": lambda x: torch.cos(x["x"]),
    "expand_dims": _expand_dims,
    "gelu": _gelu,
    "layer_norm": _layer_norm,
    "linear": lambda x: F.linear(x["x"], x["weight"], x.get("bias")),
    "matmul": _matmul,
    "maximum": _elementwise(torch.maximum),
    "minimum": _elementwise(torch.minimum),
    "mul": _elementwise(torch.mul),
    "pad": _pad,
    "pow": _elementwise(torch.pow),
    "real_div": _elementwise(torch.div),
    "reduce_max": _reduction(torch.amax),
    "reduce_mean": _reduction(torch.mean),
    "reduce_sum": _reduction(torch.sum),
    "relu": lambda x: x["x"].relu(),
    "reshape": lambda x: x["x"].reshape(_ints(x["shape"])),
    "rsqrt": lambda x: (x["x"] + float(x.get("epsilon", 0))).rsqrt(),
    "sigmoid": lambda x: x["x"].sigmoid(),
    "sin": lambda x: torch.sin(x["x"]),
    "slice_by_index": _slice_by_index,
    "softmax": lambda x: x["x"].softmax(int(x.get("axis", -1))),
    "split": _split,
    "sqrt": lambda x: x["x"].sqrt(),
    "squeeze": lambda x: x["x"].squeeze(tuple(_ints(x["axes"]))) if x.get("axes") is not None else x["x"].squeeze(),
    "square": lambda x: x["x"].square(),
    "sub": _elementwise(torch.sub),
    "tile": lambda x: x["x"].repeat(*_ints(x["reps"])),
    "transpose": lambda x: x["x"].permute(_ints(x["perm"])),
    "upsample_bilinear": _upsample,
}
