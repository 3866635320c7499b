"""A larger RepViT that computes what a smaller one does, to be trained further: the best start without a GPU.

    python distill/grow.py --start small --variant repvit_m2_3 --data photos/ --out grown.safetensors
    python distill/train.py grown --start grown.safetensors --out runs/m2_3

After Net2Net (Chen, Goodfellow, Shlens, arXiv 1511.05641): same function, more capacity. Wider: the small network takes
the leading channels and gets no input from the new ones, whose weights are fresh; training connects them. Deeper:
inserted blocks are the identity. Batch norms of new channels get their statistics from photos.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from repvit_sam import load
from repvit_sam.build import build_repvit_sam
from repvit_sam.console import report_errors
from repvit_sam.distill.data.canvas import PhotoCanvas, normalise, read_canvases
from repvit_sam.distill.data.sources import read_sources
from repvit_sam.modeling.sam import SamModel

INSERTED_GATE_BIAS = 2.0  # sigmoid(2) = 0.88: near enough to open, far enough from flat to learn


class GrowthError(ValueError):
    """The larger network cannot hold the smaller one."""


def main(
    data: Annotated[list[str], typer.Option(help="photos for batch norm statistics: folder, tar or list; repeat")],
    out: Annotated[Path, typer.Option(help="the grown weights, .safetensors")],
    start: Annotated[str, typer.Option(help="checkpoint name or file of the trained network")] = "small",
    variant: Annotated[str, typer.Option(help="repvit_m1_0, m1_5 or m2_3")] = "repvit_m2_3",
    photos: Annotated[int, typer.Option(min=1, help="how many of the photos")] = 8,
    seed: Annotated[int, typer.Option(help="of the fresh weights")] = 0,
) -> None:
    """Grow a trained RepViT into a larger one."""
    with report_errors():
        small = load(start, "cpu", fuse=False)
        items = read_sources(data).limited(photos).items
        read = islice(read_canvases(items, small.canvas_size, workers=2, ahead=2), photos)
        good = [canvas for canvas in read if isinstance(canvas, PhotoCanvas)]
        if not good:
            raise GrowthError("none of the photos could be read")
        stacked = torch.stack([canvas.canvas for canvas in good])
        canvases = normalise(stacked, torch.tensor([canvas.content_hw for canvas in good]))
        torch.manual_seed(seed)
        grown = grow(small, variant, canvases)
        with torch.inference_mode():
            before, after = small.image_encoder(canvases[:1]), grown.image_encoder(canvases[:1])
        typer.echo(f"largest difference in an embedding: {float((before - after).abs().max()):.1e}", err=True)
        provenance = {**small.checkpoint.provenance} if small.checkpoint else {}
        grown.save(out, provenance={**provenance, "grown_from": start})
        typer.echo(out)


@torch.no_grad()
def grow(small: SamModel, variant: str, canvases: Tensor) -> SamModel:
    """A model of the larger variant with the small one's function.

    Args:
        small: unfused, with a RepViT.
        variant: at least as wide and as deep in every stage.
        canvases: (B, 3, S, S) normalised; they give the batch norms of new channels their statistics.

    Raises:
        GrowthError: the variant cannot hold the small network.
    """
    grown = build_repvit_sam(variant, canvas=small.canvas_size).eval()
    places = _places_of_blocks(small, grown)
    old = {_grown_name(name, places): value for name, value in small.state_dict().items()}
    new = grown.state_dict()
    for name, value in old.items():
        if name not in new or any(size > room for size, room in zip(value.shape, new[name].shape, strict=True)):
            raise GrowthError(f"{variant} is not at least as wide as {small.variant} everywhere")
        _lay_into(new[name], value)
    inserted = _inserted_blocks(grown, set(places.values()))
    for block in inserted:
        _make_identity(block)
    old_channels: dict[nn.Module, int] = {
        norm: len(old[f"{name}.weight"]) if f"{name}.weight" in old else 0
        for name, norm in grown.named_modules()
        if isinstance(norm, nn.BatchNorm2d)
    }
    _measure_statistics(grown, old_channels, {block.token_mixer.bn: _gate(block) for block in inserted}, canvases)
    return grown


def _places_of_blocks(small: SamModel, grown: SamModel) -> dict[str, str]:
    """Where each of the small network's blocks goes, evenly spread; in pairs, since every other has squeeze-excite."""
    places = {}
    small_stages: Any = small.image_encoder.body.stages
    grown_stages: Any = grown.image_encoder.body.stages
    for number, (few, many) in enumerate(zip(small_stages, grown_stages, strict=True)):
        if len(few.blocks) > len(many.blocks):
            raise GrowthError(
                f"{grown.variant} is not as deep: {len(many.blocks)} blocks in stage {number}, "
                f"{small.variant} has {len(few.blocks)}"
            )
        pairs, room = len(few.blocks) // 2, len(many.blocks) // 2
        for pair, place in enumerate(torch.linspace(0, room - 1, pairs).round().int().tolist()):
            for half in (0, 1):
                places[_block_name(number, 2 * pair + half)] = _block_name(number, 2 * place + half)
    return places


def _block_name(stage: int, block: int) -> str:
    return f"image_encoder.body.stages.{stage}.blocks.{block}."


def _grown_name(name: str, places: dict[str, str]) -> str:
    for old, new in places.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _lay_into(new: Tensor, old: Tensor) -> None:
    """Old weights into the leading channels, in place; zeros where old outputs would take new inputs."""
    if new.ndim > 1:
        new[: old.shape[0], old.shape[1] :] = 0
    new[tuple(slice(0, size) for size in old.shape)] = old


def _inserted_blocks(grown: SamModel, taken: set[str]) -> list[Any]:
    stages: Any = grown.image_encoder.body.stages
    return [
        block
        for number, stage in enumerate(stages)
        for place, block in enumerate(stage.blocks)
        if _block_name(number, place) not in taken
    ]


def _make_identity(block: Any) -> None:
    """Silence the block's branches; timm starts its channel mixer silent, and its last norm follows when measured."""
    for weight in (block.token_mixer.conv.bn.weight, block.token_mixer.conv1.weight, block.token_mixer.conv1.bias):
        nn.init.zeros_(weight)
    if not isinstance(block.se, nn.Identity):
        nn.init.zeros_(block.se.fc2.weight)
        nn.init.constant_(block.se.fc2.bias, INSERTED_GATE_BIAS)


def _gate(block: Any) -> float:
    """What squeeze-excite multiplies an inserted block with; its batch norm divides by it beforehand."""
    return 1.0 if isinstance(block.se, nn.Identity) else float(torch.tensor(INSERTED_GATE_BIAS).sigmoid())


def _measure_statistics(
    grown: SamModel, old_channels: dict[nn.Module, int], identities: dict[nn.Module, float], canvases: Tensor
) -> None:
    """One pass in which each batch norm, in the network's order, takes the statistics of its new channels.

    An identity's scale and shift undo its normalisation, divided by its gate.
    """

    def measure(norm: Any, inputs: tuple[Tensor]) -> None:
        new = slice(old_channels[norm], None)
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3))
        norm.running_mean[new] = mean[new]
        norm.running_var[new] = variance[new]
        if norm in identities:
            norm.weight.copy_((variance + norm.eps).sqrt() / identities[norm])
            norm.bias.copy_(mean / identities[norm])

    hooks = [norm.register_forward_pre_hook(measure) for norm in old_channels]
    grown.image_encoder(canvases)
    for hook in hooks:
        hook.remove()


if __name__ == "__main__":
    typer.run(main)
