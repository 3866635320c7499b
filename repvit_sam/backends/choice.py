"""Which engine computes, and in which precision: the rule of ``load(engine="auto")``; docs/deployment.md has the table.

``choose`` depends only on its arguments; ``this_machine`` looks at the computer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

BACKENDS = ("torch", "onnx", "openvino")
ENGINES = (*BACKENDS, "auto")  # what ``engine=`` may name
PRECISIONS = ("auto", "fp32", "bf16", "int8")  # what ``precision=`` may name


@dataclass(frozen=True)
class Machine:
    """What the choice depends on.

    Attributes:
        device: where the model is to compute: "cpu", "cuda", "mps", ...
        openvino: whether OpenVINO is installed.
        native_bf16: whether the device multiplies bf16 numbers itself. Where it does not, bf16 is slower than fp32.
    """

    device: str
    openvino: bool
    native_bf16: bool


@dataclass(frozen=True)
class Choice:
    """An engine, a precision, and why: a sentence for people."""

    engine: str
    precision: str
    reason: str


def choose(machine: Machine, engine: str = "auto", precision: str = "auto") -> Choice:
    """The engine and the precision for a checkpoint on this machine.

    Args:
        engine: "torch", "openvino" or "auto"; an engine that is named is kept.
        precision: one of ``PRECISIONS``; one that is named is kept.

    Raises:
        ValueError: unknown names, or the machine cannot compute what is named.
    """
    check_names(engine, precision)
    if engine == "auto":
        return _choose_engine(machine, precision)
    if engine == "openvino" and machine.device != "cpu":
        raise ValueError(f"engine='openvino' computes on the CPU, got device {machine.device!r}; give device='cpu'")
    if precision == "int8" and engine != "openvino":
        raise ValueError(f"precision='int8' needs engine='openvino', got {engine!r}")
    if precision == "bf16" and not machine.native_bf16:
        raise ValueError(f"precision='bf16' is not native to this {machine.device}, and slow; give 'fp32' or 'auto'")
    if precision == "auto":  # load(engine="torch") is a plain model, to be compared with and trained
        precision = "bf16" if engine == "openvino" and machine.native_bf16 else "fp32"
    return Choice(engine, precision, f"engine {engine!r} was asked for")


def check_names(engine: str, precision: str) -> None:
    """Raises ValueError where ``load`` knows no such engine or precision."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")


def _choose_engine(machine: Machine, precision: str) -> Choice:
    if machine.device != "cpu":
        if precision == "int8":
            raise ValueError(f"precision='int8' computes on the CPU, got device {machine.device!r}; give device='cpu'")
        kept = "fp32" if precision == "auto" else choose(machine, "torch", precision).precision
        return Choice("torch", kept, f"PyTorch computes on {machine.device}")
    if precision == "auto":
        precision = "bf16" if machine.native_bf16 else "fp32"
        why = "this processor computes bf16 itself" if machine.native_bf16 else "this processor has no bf16 of its own"
    else:
        choose(machine, "openvino", precision)  # refuses what the processor cannot do
        why = f"{precision} was asked for"
    if machine.openvino:
        return Choice("openvino", precision, f"OpenVINO is installed, and {why}")
    if precision == "int8":
        raise ValueError("precision='int8' needs OpenVINO: pip install 'repvit-sam[openvino]'")
    return Choice("torch", precision, f"OpenVINO is not installed, and {why}")


def this_machine(device: str) -> Machine:
    """What is installed here, and what the device can do.

    Args:
        device: its type, "cpu" or "cuda".
    """
    has_bf16 = {"cpu": native_bf16_on_cpu, "cuda": _native_bf16_on_cuda}.get(device, lambda: False)
    return Machine(device, find_spec("openvino") is not None, has_bf16())


def native_bf16_on_cpu() -> bool:
    """Whether the CPU has x86's instructions for bf16, AVX512_BF16 or AMX. Arm's were not measured, and count as none.

    ``torch.ops.mkldnn._is_mkldnn_bf16_supported`` does not say it: it is true on every AVX-512 processor, where bf16 is
    emulated.
    """
    import torch

    found = _cpu_capabilities()
    if found:
        return any(found.get(name) is True for name in ("avx512_bf16", "amx_bf16"))
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # older versions of torch
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def lacks_int8_on_cpu() -> bool:
    """Whether the CPU is one of x86 that has no instructions for int8 (VNNI or AMX); False where torch does not say."""
    found = _cpu_capabilities()
    names = ("avx512_vnni", "avx_vnni", "amx_int8")
    return found.get("architecture") == "x86_64" and not any(found.get(name) is True for name in names)


def _cpu_capabilities() -> Mapping[str, object]:
    import torch

    capabilities: Callable[[], Mapping[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    return capabilities()


def _native_bf16_on_cuda() -> bool:
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)
