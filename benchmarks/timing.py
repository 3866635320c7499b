"""What the benchmarks share: options, time A B A B, the machine, rows with a ratio, JSON.

The reference is the same everywhere: the published network, that is unfused, eager, float32 and NCHW, in
segment_anything's own predictor or generator.
"""

from __future__ import annotations

import json
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import torch
import typer
from numpy.typing import NDArray

import repvit_sam
from repvit_sam.build import build_from_checkpoint
from repvit_sam.embedding import as_numpy
from repvit_sam.files import atomic_write

CheckpointOption = Annotated[str, typer.Option(help="a name from `repvit-sam weights list`, or a file")]
CheckpointsOption = Annotated[list[str] | None, typer.Option("--checkpoint", help="by default `default`; repeat")]
EngineOption = Annotated[str, typer.Option(help="as `load` takes it, or ENGINE:PRECISION, such as openvino:bf16")]
EnginesOption = Annotated[
    list[str] | None, typer.Option("--engine", help="ENGINE or ENGINE:PRECISION, by default torch; repeat")
]
PrecisionOption = Annotated[str | None, typer.Option(help="of engines that are given without one")]
PhotoOption = Annotated[Path, typer.Option(help="the photo to open")]
RoundsOption = Annotated[int, typer.Option(min=0, help="counted rounds, after one to warm up; 0 counts that one")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="PyTorch's CPU threads; by default one a core")]
CpuTimeOption = Annotated[
    bool, typer.Option("--cpu-time", help="on one thread, count this process's time alone: others work on the machine")
]
JsonOption = Annotated[Path | None, typer.Option("--json", help="write the rows to this file as well")]

COFFEE = repvit_sam.example_photo("coffee")
# of the instructions that the processor knows, those that decide how fast matrices are multiplied
_INSTRUCTIONS = ("avx2", "avx512_f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8", "neon", "sve")


@dataclass(frozen=True)
class Row:
    """One case: what the reference takes, and what ours does.

    Attributes:
        reference: None where there is nothing to compare with.
        unit: of both.
    """

    case: str
    reference: float | None
    ours: float
    unit: str = "ms"
    notes: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times less ours takes."""
        return None if self.reference is None else self.reference / self.ours

    def line(self) -> str:
        """The row as printed."""
        reference = "" if self.reference is None else f"{self.reference:.1f}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}x"
        line = f"{self.case:<44} {reference:>9} {self.ours:>9.1f} {self.unit:<4} {ratio:>7}  {self.notes}"
        return line.rstrip()


def alternate(
    works: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Call all works in turn (A B A B), one round to warm up and then ``rounds`` -> median milliseconds of each.

    With no rounds the first one counts, for what happens only once.

    Args:
        clock: in seconds; ``time.process_time`` counts this process alone, where others work beside it.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            start = clock()
            work()
            if turn or not rounds:
                times[name].append((clock() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def clock_of(cpu_time: bool, device: str) -> Callable[[], float]:
    """The clock for ``alternate``, after ``set_threads``.

    Raises:
        ValueError: the time of one thread was asked for, and there are several or a GPU.
    """
    if not cpu_time:
        return time.perf_counter
    if device != "cpu" or torch.get_num_threads() > 1:
        raise ValueError(
            "--cpu-time is for --threads 1 on the CPU; several threads add up to more than the clock's time"
        )
    return time.process_time


def set_threads(threads: int | None) -> None:
    """Limit PyTorch's threads."""
    if threads:
        torch.set_num_threads(threads)


def load_ours(checkpoint: str, engine: str, precision: str | None, device: str = "cpu") -> Any:
    """``repvit_sam.load``, with a precision only if one was given: by ``--precision``, or as ENGINE:PRECISION."""
    name, _, own = engine.partition(":")
    wanted = own or precision
    load: Any = repvit_sam.load  # its overloads want literal engines
    return load(checkpoint, device, engine=name, **({"precision": wanted} if wanted else {}))


def load_published(checkpoint: str, device: str = "cpu") -> Any:
    """What stands for the published code: the same network unfused, in NCHW, eager, float32.

    It is built without any of the changes that ``load`` makes: batch norms and RepVGG branches stay apart, as in the
    published RepViT-SAM, which runs its training form. Which weights are in it does not change the time.
    """
    return build_from_checkpoint(checkpoint).to(device).eval()


def with_embedding(model: Any, predictor: repvit_sam.SamPredictor) -> Any:
    """segment_anything's predictor on ``model``, with the photo that ours has encoded already."""
    from segment_anything import SamPredictor

    theirs = SamPredictor(model)
    theirs.features = torch.as_tensor(as_numpy(predictor.features), device=model.device)
    theirs.original_size, theirs.input_size = predictor.original_size, predictor.input_size
    theirs.is_image_set = True
    return theirs


def random_boxes(photo_hw: tuple[int, int], count: int) -> NDArray[np.float64]:
    """(count, 4) XYXY, of all sizes from a twentieth of the photo to half of it, seeded."""
    chance = np.random.default_rng(0)
    size_xy = np.array([photo_hw[1], photo_hw[0]])
    sizes = size_xy * chance.uniform(0.05, 0.5, (count, 2))
    corners = chance.uniform(size=(count, 2)) * (size_xy - sizes)
    return np.concatenate([corners, corners + sizes], axis=1)


def machine() -> dict[str, Any]:
    """Processor, cores, instructions and memory: torch asks the processor, psutil the system, on every platform."""
    ask = getattr(torch.cpu, "get_capabilities", dict)  # newer versions of torch have it
    found: dict[str, Any] = ask()
    return {
        "processor": found.get("cpu_name") or platform.processor() or platform.machine(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count(),
        "instructions": [name for name in _INSTRUCTIONS if found.get(name)],
        "ram_gib": round(psutil.virtual_memory().total / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
    }


def versions() -> dict[str, str]:
    """Of Python and of what computes; runtimes that are not installed are left out."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "repvit-sam": repvit_sam.__version__}
    for name in ("torch", "timm", "segment-anything", "openvino", "onnxruntime"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def report(rows: Sequence[Row], path: Path | None, settings: Mapping[str, Any]) -> None:
    """Print command, machine, versions and rows; write them to ``path`` if there is one."""
    hardware, used = machine(), versions()
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    instructions = " ".join(hardware["instructions"]) or "instructions unknown"
    gpu = f", {hardware['gpu']}" if hardware["gpu"] else ""
    typer.echo(f"$ {command}")
    typer.echo(
        f"{hardware['processor']}, {hardware['cores']} cores ({torch.get_num_threads()} threads), {instructions}, "
        f"{hardware['ram_gib']} GiB{gpu}, {hardware['system']}"
    )
    typer.echo(", ".join(f"{name} {number}" for name, number in used.items()))
    typer.echo(f"{'':<44} {'reference':>9} {'ours':>9}")
    for row in rows:
        typer.echo(row.line())
    if path:
        content = {
            "command": command,
            "machine": {**hardware, "threads": torch.get_num_threads()},
            "versions": used,
            "settings": dict(settings),
            "rows": [{**asdict(row), "ratio": row.ratio} for row in rows],
        }
        with atomic_write(path) as beside:
            beside.write_text(json.dumps(content, indent=1))
