"""Several convolutions become one, shown in numbers: python examples/reparameterisation.py

A convolution is linear and so is a batch norm in use, so parallel branches of the same stride are one convolution whose
kernel is the sum of theirs, laid on one grid:

* RepViT's token mixer: 3x3 + 1x1 + identity, each with a batch norm, and a batch norm of the sum (RepVGG, Ding et al.,
  arXiv 2101.03697; here with the norms of arXiv 2307.09283 and one on each branch, the general case);
* an asymmetric block: 3x3 + 1x3 + 3x1 (ACNet, Ding et al., arXiv 1908.03930).
"""

import copy
import sys
from collections.abc import Sequence

import torch
from timm.models.repvit import RepVggDw
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

import repvit_sam


class Branches(nn.Module):
    """Depthwise convolutions side by side, a batch norm on each; their sum, and a batch norm of it.

    Args:
        channels: of input and output.
        kernels_hw: height and width of each kernel, all odd.
        identity: the input is one of the branches, with a batch norm too.
    """

    def __init__(self, channels: int, kernels_hw: Sequence[tuple[int, int]], identity: bool = False) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, channels, hw, padding=(hw[0] // 2, hw[1] // 2), groups=channels, bias=False)
            for hw in kernels_hw
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in kernels_hw)
        self.identity_norm = nn.BatchNorm2d(channels) if identity else None
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        sums = [norm(convolution(x)) for norm, convolution in zip(self.norms, self.convolutions, strict=True)]
        if self.identity_norm is not None:
            sums.append(self.identity_norm(x))
        return self.norm(torch.stack(sums).sum(0))

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """One depthwise convolution of the largest kernel, with a bias, that computes the same in eval mode."""
        parts = [
            fuse_conv_bn_eval(convolution, norm)
            for norm, convolution in zip(self.norms, self.convolutions, strict=True)
        ]
        if self.identity_norm is not None:
            parts.append(fuse_conv_bn_eval(_identity(len(self.norm.weight)), self.identity_norm))
        height = max(part.kernel_size[0] for part in parts)
        width = max(part.kernel_size[1] for part in parts)
        one = nn.Conv2d(
            *[len(self.norm.weight)] * 2,
            (height, width),
            padding=(height // 2, width // 2),
            groups=len(self.norm.weight),
        )
        one.weight.copy_(sum(_laid_on(part.weight, height, width) for part in parts))
        one.bias.copy_(sum(part.bias for part in parts))
        return fuse_conv_bn_eval(one.eval(), self.norm)


def _identity(channels: int) -> nn.Conv2d:
    """The 1x1 convolution that changes nothing."""
    convolution = nn.Conv2d(channels, channels, 1, groups=channels, bias=False).eval()
    nn.init.ones_(convolution.weight)
    return convolution


def _laid_on(kernel: Tensor, height: int, width: int) -> Tensor:
    """A smaller kernel in the middle of a larger one of zeros."""
    above, left = (height - kernel.shape[2]) // 2, (width - kernel.shape[3]) // 2
    return F.pad(kernel, (left, left, above, above))


def train_norms(block: nn.Module, channels: int) -> None:
    """Let the batch norms see numbers, so that their statistics are not zeros and ones."""
    for norm in block.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.1)
    block.train()
    for _ in range(20):
        block(2 * torch.randn(8, channels, 16, 16) + 1)
    block.eval()


@torch.no_grad()
def difference_of(block: nn.Module, one: nn.Module, channels: int) -> float:
    """The largest difference between two blocks, over outputs of a noise of variance 1."""
    x = torch.randn(4, channels, 32, 32)
    return float((block(x) - one(x)).abs().max())


def show(name: str, block: Branches, channels: int) -> None:
    one = block.fused()
    before, after = (sum(parameter.numel() for parameter in module.parameters()) for module in (block, one))
    kernel, difference = "x".join(map(str, one.kernel_size)), difference_of(block, one, channels)
    print(f"{name}: {before} parameters -> one {kernel} with {after}, difference {difference:.1e}")


def show_checkpoint(name: str) -> None:
    """Every token mixer of a checkpoint, with its trained weights."""
    encoder = repvit_sam.load(name, "cpu", fuse=False).image_encoder
    mixers = [module for module in encoder.modules() if isinstance(module, RepVggDw)]
    # timm's fuse() changes the block's own weights: the copy is fused
    differences = [difference_of(mixer, copy.deepcopy(mixer).fuse(), mixer.dim) for mixer in mixers]
    print(f"the {len(mixers)} token mixers of {name!r}, as trained: difference up to {max(differences):.1e}")


def main(checkpoint: str = "small") -> None:
    torch.manual_seed(0)
    channels = 48  # as in RepViT-M0.9's first stage
    blocks = {
        "3x3 + 1x1 + identity (RepViT)": Branches(channels, [(3, 3), (1, 1)], identity=True),
        "3x3 + 1x3 + 3x1 (ACNet)": Branches(channels, [(3, 3), (1, 3), (3, 1)]),
        "5x5 + 3x3 + 1x5 + 5x1 + identity": Branches(channels, [(5, 5), (3, 3), (1, 5), (5, 1)], identity=True),
    }
    for name, block in blocks.items():
        train_norms(block, channels)
        show(name, block, channels)
    show_checkpoint(checkpoint)


if __name__ == "__main__":
    main(*sys.argv[1:])
