"""One device or many machines: Lightning Fabric.

Fabric brings torchrun, DDP, mixed precision and gradient clipping, and leaves the loop to us. Accelerate would do as
well, but also wraps torch's data loaders, which are not used here.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.strategy import Strategy

from ..recipe import Recipe

_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "64-true"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp64": "64-true",
}


def launch(recipe: Recipe, device: torch.device) -> Fabric:
    """Fabric for this recipe, with the processes connected that torchrun started."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    strategy: str | Strategy = "auto"
    if world > 1:
        only_encoder = all(stage.train == ("encoder",) for stage in recipe.stages)
        backend = "nccl" if device.type == "cuda" else "gloo"
        # a batch of boxes leaves the tokens of points without a gradient
        strategy = DDPStrategy(
            process_group_backend=backend,
            find_unused_parameters=not only_encoder,
            timeout=timedelta(hours=12),  # the others wait while the first validates
        )
    fabric = Fabric(
        accelerator=device.type,
        devices=local if device.index is None else [device.index],
        num_nodes=world // local,
        strategy=strategy,
        precision=_PRECISIONS[recipe.engine.precision],
    )
    fabric.launch()
    return fabric


def max_over_ranks(fabric: Fabric, values: list[float]) -> list[float]:
    """The largest of each value over all ranks, so that all of them take the same decision."""
    if fabric.world_size == 1:
        return values
    together = torch.tensor(values, device=fabric.device, dtype=torch.float64)
    torch.distributed.all_reduce(together, op=torch.distributed.ReduceOp.MAX)
    return [float(value) for value in together]
