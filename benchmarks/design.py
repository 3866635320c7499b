"""From MobileNetV3-L to RepViT-M0.9 in ten networks, each built: parameters, multiply-adds and time in one run.

    python benchmarks/design.py --json build/bench/design.json
    python benchmarks/backbone_page.py

Reference: the first network; ours: the step's. Both fused, eager PyTorch, float32, channels-last, fresh weights, one
photo of 224 pixels at a time. What a CPU makes of a step is not what a phone does: the paper's own milliseconds are in
the notes.
"""

from __future__ import annotations

import torch
import typer
from backbones import computing
from counting import count_multiply_adds, count_parameters
from design_networks import DesignNetwork
from design_steps import Step, steps
from timing import CpuTimeOption, JsonOption, RoundsOption, Row, ThreadsOption, alternate, clock_of, report, set_threads
from torch import nn

from repvit_sam.console import report_errors
from repvit_sam.modeling.backbone import fuse_children


def fused_network(step: Step) -> nn.Module:
    """The network of a step as a phone runs it."""
    torch.manual_seed(0)
    network = DesignNetwork(step.design).eval().requires_grad_(False)
    fuse_children(network)
    return network.requires_grad_(False)


def main(
    side: int = 224,
    batch: int = 1,
    rounds: RoundsOption = 30,
    threads: ThreadsOption = None,
    device: str = "cpu",
    cpu_time: CpuTimeOption = False,
    json: JsonOption = None,
) -> None:
    """Milliseconds of every step, and how many times faster than MobileNetV3-L it is."""
    with report_errors():
        set_threads(threads)
        clock = clock_of(cpu_time, device)
        networks = {step: fused_network(step) for step in steps()}
        counts = [(count_parameters(one), count_multiply_adds(one, side)) for one in networks.values()]
        works = {step.name: computing(network, side, batch, device) for step, network in networks.items()}
        times = alternate(works, rounds, clock)
        first = times[next(iter(times))] / batch
        rows, table = [], []
        for step, (parameters, multiply_adds) in zip(networks, counts, strict=True):
            ours = times[step.name] / batch
            top1 = "top-1 not given" if step.top1 is None else f"top-1 {step.top1}"
            size = f"{parameters / 1e6:.2f} M, {multiply_adds / 1e9:.3f} GMAC"
            rows.append(Row(step.name, first, ours, notes=f"{size}; iPhone 12 {step.iphone_ms} ms, {top1}"))
            table.append({"parameters": parameters, "multiply_adds": multiply_adds, "choice": step.choice})
            table[-1] |= {"iphone_ms": step.iphone_ms, "top1": step.top1}
        settings = {"side": side, "batch": batch, "rounds": rounds, "device": device, "cpu_time": cpu_time}
        report(rows, json, settings | {"steps": table})


if __name__ == "__main__":
    typer.run(main)
