"""Speed of caching a teacher and of training a student, and the limit that the machine sets.

    python benchmarks/training.py --teacher vit_h --student repvit_m2_3 --precision bf16 --batch 8
    python benchmarks/training.py --teacher vit_t --student repvit_m0_9 --canvas 512 --batch 2      # a CPU, in a minute

Random weights: the time does not depend on them. The machine's limit is measured, not quoted: the rate of a large
matrix product in the same precision. Operations are counted by torch; training counts as three forward passes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from segment_anything.modeling import Sam
from torch.utils.flop_counter import FlopCounterMode

from repvit_sam.build import build_repvit_sam
from repvit_sam.canvas import EMBEDDING_CHANNELS, EMBEDDING_STRIDE
from repvit_sam.console import report_errors
from repvit_sam.device import pick_device
from repvit_sam.distill.teacher import autocast, encode, norms_in_float32
from repvit_sam.modeling.sam import SamModel


def operations_of(variant: str, canvas: int) -> float:
    """Floating-point operations (two a multiply-add) of one photo's forward pass, counted without computing it."""
    encoder = build_repvit_sam(variant, canvas=canvas).image_encoder.to("meta")  # shapes without numbers
    counter = FlopCounterMode(display=False)
    with counter:
        encoder(torch.empty(1, 3, canvas, canvas, device="meta"))
    return float(counter.get_total_flops())


def matrix_rate(device: torch.device, precision: str, side: int, rounds: int) -> float:
    """Operations a second of a (side, side) matrix product: what no network on this machine exceeds by much."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / median_seconds(lambda: left @ right, device, rounds)


def median_seconds(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Of one call, after one to warm up."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def training_step(student: Sam, canvas: torch.Tensor, target: torch.Tensor, precision: str) -> Callable[[], None]:
    """Forward, squared error, backward, AdamW: the encoder stage's work on whole canvases."""
    optimiser = torch.optim.AdamW(student.image_encoder.parameters(), fused=canvas.device.type == "cuda")

    def step() -> None:
        with autocast(precision, canvas.device):
            predicted = student.image_encoder(canvas)
        (predicted.float() - target).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def build(variant: str, canvas: int, device: torch.device) -> SamModel:
    model = build_repvit_sam(variant, canvas=canvas, device=device)
    model.image_encoder.to(memory_format=torch.channels_last)
    norms_in_float32(model)
    return model


def main(
    teacher: str = "vit_h",
    student: str = "repvit_m2_3",
    canvas: int = 1024,
    batch: int = 8,
    precision: Annotated[str, typer.Option(help="bf16, fp16 or fp32")] = "fp32",
    rounds: int = 5,
    side: Annotated[int, typer.Option(help="of the matrices whose product sets the limit")] = 4096,
    compile: Annotated[bool, typer.Option(help="torch.compile both networks")] = False,
    device: str = "auto",
) -> None:
    """Photos a second of caching and of training, and the share of the machine's limit."""
    with report_errors():
        chosen = pick_device(device)
        rate = matrix_rate(chosen, precision, side, rounds)
        where = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else f"{torch.get_num_threads()} threads"
        typer.echo(f"torch {torch.__version__}, {chosen}, {where}, {precision}: {rate / 1e12:.2f} TFLOP/s of matrices")
        canvases = torch.randn(batch, 3, canvas, canvas, device=chosen).contiguous(memory_format=torch.channels_last)
        teaching = build(teacher, canvas, chosen).requires_grad_(False)
        learning = build(student, canvas, chosen).train()
        if compile:
            teaching.image_encoder.compile()
            learning.image_encoder.compile()
        grid = canvas // EMBEDDING_STRIDE
        target = torch.randn(batch, EMBEDDING_CHANNELS, grid, grid, device=chosen) * 0.1
        works = {
            f"caching {teacher}": (lambda: encode(teaching, canvases, precision), operations_of(teacher, canvas)),
            f"training {student}": (
                training_step(learning, canvases, target, precision),
                3 * operations_of(student, canvas),
            ),
        }
        for name, (work, operations) in works.items():
            if chosen.type == "cuda":
                torch.cuda.reset_peak_memory_stats(chosen)
            speed = batch / median_seconds(work, chosen, rounds)
            limit = rate / operations
            memory = f", {torch.cuda.max_memory_allocated(chosen) / 2**30:.1f} GiB" if chosen.type == "cuda" else ""
            typer.echo(
                f"{name:<22} {operations / 1e12:6.3f} TFLOP a photo, {speed:7.2f} img/s of at most {limit:7.2f} "
                f"({speed / limit:.0%}){memory}"
            )


if __name__ == "__main__":
    typer.run(main)
