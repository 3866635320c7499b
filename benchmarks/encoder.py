"""How long encoding a photo takes, as built, fused, and fused with channels last, in one run (A B C A B C ...).

    python benchmarks/encoder.py --variant repvit_m2_3 --variant vit_t

Random weights: the time does not depend on them. Medians, and the ratio to the encoder as built.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated

import torch
import typer

from repvit_sam.build import build_repvit_sam
from repvit_sam.console import report_errors
from repvit_sam.device import pick_device


def variants_of(variant: str, canvas: int, device: torch.device) -> dict[str, torch.nn.Module]:
    """The three forms of one encoder."""
    built = build_repvit_sam(variant, canvas=canvas, device=device)
    fused = copy.deepcopy(built).fuse()
    ready = copy.deepcopy(fused)
    ready.image_encoder.to(memory_format=torch.channels_last)
    forms = {"as built": built, "fused": fused, "fused, channels last (load)": ready}
    return {name: model.image_encoder for name, model in forms.items()}


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of one call, the device's work included."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main(
    variant: Annotated[list[str] | None, typer.Option(help="repeat for several")] = None,
    canvas: int = 1024,
    rounds: Annotated[int, typer.Option(help="counted rounds, after one to warm up")] = 5,
    threads: Annotated[int | None, typer.Option(help="CPU threads")] = None,
    device: str = "cpu",
) -> None:
    """Milliseconds a photo, by form of the encoder."""
    with report_errors(), torch.inference_mode():
        if threads:
            torch.set_num_threads(threads)
        chosen = pick_device(device)
        photo = torch.randn(1, 3, canvas, canvas, device=chosen)
        typer.echo(f"torch {torch.__version__}, {chosen}, {torch.get_num_threads()} threads, canvas {canvas}")
        for name in variant or ["repvit_m2_3"]:
            forms = variants_of(name, canvas, chosen)
            times: dict[str, list[float]] = {form: [] for form in forms}
            for count in range(rounds + 1):
                for form, encoder in forms.items():
                    taken = seconds(partial(encoder, photo), chosen)
                    if count:
                        times[form].append(taken)
            base = statistics.median(times["as built"])
            for form, values in times.items():
                median = statistics.median(values)
                typer.echo(f"{name:<12} {form:<28} {median * 1000:7.0f} ms  {median / base:.2f}")


if __name__ == "__main__":
    typer.run(main)
