"""Parameters and multiply-adds of a network.

Multiply-adds by torch's own counter (torch.utils.flop_counter): it sees convolutions, matrix products and attention as
the network calls them, without computing them. fvcore, which the authors of RepViT use, also counts norms and pooling,
and would be one package more.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def count_multiply_adds(network: nn.Module, side: int) -> int:
    """Of one photo (1, 3, side, side); the network itself is not changed."""
    shapes = copy.deepcopy(network).to("meta").eval()  # shapes without numbers
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        shapes(torch.empty(1, 3, side, side, device="meta"))
    return counter.get_total_flops() // 2
