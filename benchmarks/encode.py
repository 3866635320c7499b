"""How long opening a photo takes: whole `set_image` calls, next to the published code and to the machine's limit.

    python benchmarks/encode.py --checkpoint default --checkpoint small --engine torch

Reference: segment_anything's predictor on the same weights, unfused, eager, float32, NCHW, as the published RepViT-SAM
code runs them. The limit is computed, not quoted: multiply-adds of the fused encoder (counted by torch) at the rate of
a matrix product that is measured in the same run, in float32, and in bf16 where it is not emulated. int8 may be faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import segment_anything
import torch
import typer
from counting import count_multiply_adds
from timing import (
    COFFEE,
    CheckpointsOption,
    EnginesOption,
    JsonOption,
    PhotoOption,
    PrecisionOption,
    RoundsOption,
    Row,
    ThreadsOption,
    alternate,
    load_ours,
    load_published,
    report,
    set_threads,
)

import repvit_sam
from repvit_sam.backends.choice import native_bf16_on_cpu
from repvit_sam.console import report_errors
from repvit_sam.embedding import as_numpy


def multiply_adds(checkpoint: str) -> int:
    """Of one photo through the fused encoder."""
    model = repvit_sam.load(checkpoint, "cpu", engine="torch")
    return count_multiply_adds(model.image_encoder, model.canvas_size)


def matrix_rates(device: str, side: int) -> dict[str, float]:
    """Multiply-adds a second of a (side, side) matrix product: what no network here exceeds by much."""
    rates = {}
    kinds = {"fp32": torch.float32}
    if device != "cpu" or native_bf16_on_cpu():
        kinds["bf16"] = torch.bfloat16
    for name, dtype in kinds.items():
        left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))

        def product(left: torch.Tensor = left, right: torch.Tensor = right) -> float:
            return (left @ right)[0, 0].item()  # waits for the device

        rates[name] = side**3 / alternate({name: product}, rounds=5)[name] * 1000
    return rates


def opening(predictor: Any, photo: Any) -> Callable[[], object]:
    def work() -> object:
        predictor.set_image(photo)
        return as_numpy(predictor.features)  # waits for the device

    return work


def main(
    checkpoint: CheckpointsOption = None,
    engine: EnginesOption = None,
    precision: PrecisionOption = None,
    photo: PhotoOption = COFFEE,
    rounds: RoundsOption = 5,
    threads: ThreadsOption = None,
    device: str = "cpu",
    side: int = 2048,
    json: JsonOption = None,
) -> None:
    """Milliseconds of `set_image`, by checkpoint and engine, and how many times faster than the published code."""
    engines = engine or ["torch"]
    with report_errors():
        set_threads(threads)
        picture = repvit_sam.read_photo(photo)
        rates = matrix_rates(device, side)
        rows = []
        for name in checkpoint or ["default"]:
            works = {"": opening(segment_anything.SamPredictor(load_published(name, device)), picture)}
            for one in engines:
                model = load_ours(name, one, precision, device)
                works[one] = opening(repvit_sam.SamPredictor(model), picture)
            count = multiply_adds(name)
            times = alternate(works, rounds)
            limits = ", ".join(f"{kind} {count / rate * 1000:.0f} ms" for kind, rate in rates.items())
            notes = f"{count / 1e9:.0f} GMAC, at least {limits}"
            rows += [Row(f"encode, {name}, {one}", times[""], times[one], notes=notes) for one in engines]
        gmacs = {f"gmac_a_second_{kind}": round(rate / 1e9) for kind, rate in rates.items()}
        report(rows, json, {"rounds": rounds, "photo": list(picture.shape[1::-1]), **gmacs})


if __name__ == "__main__":
    typer.run(main)
