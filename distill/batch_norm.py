"""Batch statistics over all ranks. torch has this for GPUs only; for CPUs (gloo) it is here."""

from __future__ import annotations

import torch
import torch.distributed.nn.functional as differentiable
from torch import Tensor, nn

from .stages.losses import at_least_float32


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """``BatchNorm2d`` whose mean and variance are taken over the batches of all ranks, which must be equally large."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        ranks = torch.distributed.get_world_size()
        x = at_least_float32(input)
        mean = _over_ranks(x.mean((0, 2, 3))) / ranks
        centred = x - mean[:, None, None]
        variance = _over_ranks(centred.square().mean((0, 2, 3))) / ranks
        self._remember(mean.detach(), variance.detach(), ranks * x.numel() // x.shape[1])
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        share = self.momentum if self.momentum is not None else 0.1
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * count / max(1, count - 1), share)
        self.num_batches_tracked.add_(1)


def _over_ranks(x: Tensor) -> Tensor:
    """The sum over all ranks, with its gradient."""
    return differentiable.all_reduce(x)  # type: ignore[no-untyped-call]


def synced_batch_norms(module: nn.Module, device: torch.device) -> None:
    """Exchange every batch norm below the module for one that sees all ranks, in place, weights and names kept."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return
    for child in module.modules():
        if type(child) is nn.BatchNorm2d:
            child.__class__ = SyncedBatchNorm2d  # the same fields, another forward


def frozen_batch_norms(module: nn.Module) -> None:
    """Let every batch norm use, and keep, its running statistics."""
    for child in module.modules():
        if isinstance(child, (nn.BatchNorm2d, nn.SyncBatchNorm)):
            child.eval()
