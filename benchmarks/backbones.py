"""RepViT's variants and their neighbours: size, multiply-adds and time, before and after fusing, at 224 and at 1024.

    python benchmarks/backbones.py --json build/bench/backbones.json
    python benchmarks/backbone_page.py

Reference: the same network as it is trained, batch norms and branches apart; ours: the same, fused. Both are eager
PyTorch in float32 and channels-last, classifiers with one head. The weights are fresh: they do not change the time.
Milliseconds are of one photo in a batch; `--side 224 --batch 8` and `--side 1024 --batch 1` are pairs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated, Any

import torch
import typer
from counting import count_multiply_adds, count_parameters
from networks import NETWORKS
from timing import CpuTimeOption, JsonOption, RoundsOption, Row, ThreadsOption, alternate, clock_of, report, set_threads
from torch import nn

from repvit_sam.console import report_errors


def forms_of(name: str) -> dict[str, nn.Module]:
    """The network as it is trained, and fused."""
    network = NETWORKS[name]
    trained = network.build().eval().requires_grad_(False)
    fused = network.fuse(copy.deepcopy(trained)).eval().requires_grad_(False)
    return {"unfused": trained, "fused": fused}


def counts_of(forms: dict[str, nn.Module], sides: list[int]) -> dict[str, Any]:
    """Form -> its parameters, and its multiply-adds by side."""
    return {
        form: {
            "parameters": count_parameters(network),
            "multiply_adds": {str(side): count_multiply_adds(network, side) for side in sides},
        }
        for form, network in forms.items()
    }


def computing(network: nn.Module, side: int, batch: int, device: str) -> Callable[[], object]:
    """A call that computes one batch and waits for it."""
    network.to(device).to(memory_format=torch.channels_last)
    photos = torch.randn(batch, 3, side, side, device=device).to(memory_format=torch.channels_last)

    def work() -> object:
        with torch.inference_mode():
            return network(photos)[0, 0].item()  # waits for the device

    return work


def main(
    network: Annotated[list[str] | None, typer.Option(help="names of benchmarks/networks.py, by default all")] = None,
    side: Annotated[list[int] | None, typer.Option(help="of the photo in pixels, by default 224 and 1024")] = None,
    batch: Annotated[list[int] | None, typer.Option(help="photos in a batch, one number for each --side")] = None,
    rounds: RoundsOption = 3,
    threads: ThreadsOption = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is a GPU")] = "cpu",
    cpu_time: CpuTimeOption = False,
    json: JsonOption = None,
) -> None:
    """Parameters, multiply-adds and milliseconds of every network, fused against unfused, in one run."""
    with report_errors():
        names, sides = network or list(NETWORKS), side or [224, 1024]
        batches = batch or ([8, 1] if sides == [224, 1024] else [1] * len(sides))
        if unknown := [name for name in names if name not in NETWORKS]:
            raise ValueError(f"--network must be one of {', '.join(NETWORKS)}, got {unknown[0]}")
        if len(batches) != len(sides):
            raise ValueError(f"--batch must be given once for each --side, got {len(batches)} for {len(sides)}")
        set_threads(threads)
        clock = clock_of(cpu_time, device)
        rows, counts = [], {}
        forms = {name: forms_of(name) for name in names}
        for name in names:
            counts[name] = counts_of(forms[name], sides)
        for pixels, photos in zip(sides, batches, strict=True):
            works = {
                f"{name} {form}": computing(one, pixels, photos, device)
                for name in names
                for form, one in forms[name].items()
            }
            times = alternate(works, rounds, clock)
            rows += [_row(name, pixels, photos, times, counts[name]) for name in names]
        settings = {"rounds": rounds, "device": device, "cpu_time": cpu_time, "counts": counts}
        report(rows, json, settings | {"batches": dict(zip(map(str, sides), batches, strict=True))})


def _row(name: str, side: int, batch: int, times: dict[str, float], counts: dict[str, Any]) -> Row:
    unfused, fused = times[f"{name} unfused"] / batch, times[f"{name} fused"] / batch
    parameters = " -> ".join(f"{counts[form]['parameters'] / 1e6:.2f}" for form in ("unfused", "fused"))
    gmacs = counts["fused"]["multiply_adds"][str(side)] / 1e9
    notes = f"{1000 / fused:.3g} photos/s, {parameters} M, {gmacs:.2f} GMAC"
    return Row(f"{name}, {side} px, batch {batch}", unfused, fused, notes=notes)


if __name__ == "__main__":
    typer.run(main)
