"""From MobileNetV3-L to RepViT-M0.9 in ten designs, as section 3 of the RepViT paper (arXiv 2307.09283) goes.

The paper gives each step's idea, latency and accuracy; its code has the last network only. What it leaves open is
chosen here, and said in the step's ``choice``. The first network is MobileNetV3-L by its own paper (arXiv 1905.02244,
table 1) with GELU everywhere, as the RepViT paper measured it; the last is RepViT-M0.9. design_networks.py builds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Row:
    """One block.

    Attributes:
        kernel: side of its depthwise convolution.
        hidden: channels between its two 1x1 convolutions.
        width: channels that it gives.
        se: whether squeeze-and-excitation follows its depthwise convolution.
        stride: 1, or 2 where a stage begins.
    """

    kernel: int
    hidden: int
    width: int
    se: bool = False
    stride: int = 1


# MobileNetV3-L after its stem of 16 channels
MOBILENET_ROWS = (
    Row(3, 16, 16),
    Row(3, 64, 24, stride=2),
    Row(3, 72, 24),
    Row(5, 72, 40, se=True, stride=2),
    Row(5, 120, 40, se=True),
    Row(5, 120, 40, se=True),
    Row(3, 240, 80, stride=2),
    Row(3, 200, 80),
    Row(3, 184, 80),
    Row(3, 184, 80),
    Row(3, 480, 112, se=True),
    Row(3, 672, 112, se=True),
    Row(5, 672, 160, se=True, stride=2),
    Row(5, 960, 160, se=True),
    Row(5, 960, 160, se=True),
)


@dataclass(frozen=True)
class Design:
    """What a network of the story is made of.

    Attributes:
        rows: its blocks; with ``early_convolutions`` those after the stem.
        separate: token mixer before channel mixer (RepViT block) instead of between its 1x1 convolutions.
        early_convolutions: two 3x3 convolutions of stride 2 as the stem.
        deep_downsampling: a stage begins with a block, a depthwise and a 1x1 convolution and a channel mixer.
        simple_classifier: one linear layer after pooling.
        stem: channels that the stem gives.
    """

    rows: tuple[Row, ...] = MOBILENET_ROWS
    separate: bool = False
    early_convolutions: bool = False
    deep_downsampling: bool = False
    simple_classifier: bool = False
    stem: int = 16


@dataclass(frozen=True)
class Step:
    """One network of the story.

    Attributes:
        iphone_ms: milliseconds on an iPhone 12, as section 3 of the paper says.
        top1: percent on ImageNet after 300 epochs without a teacher, as it says; None where it does not.
        choice: what the paper leaves open, and how it is here.
    """

    name: str
    design: Design
    iphone_ms: float
    top1: float | None
    choice: str = ""


def steps() -> tuple[Step, ...]:
    """All ten, first to last."""
    mobilenet = Design()
    separate = replace(mobilenet, separate=True)
    narrow = replace(separate, rows=_with_expansion(separate.rows, separate.stem))
    wide = replace(narrow, rows=_with_expansion(_widened(narrow.rows), narrow.stem))
    # the stem takes the place of the first two blocks, which bring the photo to a quarter of its side
    early = replace(wide, early_convolutions=True, stem=48, rows=_with_expansion(wide.rows[2:], 48))
    deep = replace(early, deep_downsampling=True)
    simple = replace(deep, simple_classifier=True)
    ratio = replace(simple, rows=_staged((2, 2, 14, 2), kernels=(3, 5, 3, 5), se=_as_mobilenet))
    small_kernels = replace(ratio, rows=tuple(replace(row, kernel=3) for row in ratio.rows))
    cross_block = replace(ratio, rows=_staged((2, 2, 14, 2), kernels=(3, 3, 3, 3), se=_every_other))
    return (
        Step("MobileNetV3-L", mobilenet, 1.01, 71.5),
        Step(
            "separate token and channel mixer",
            separate,
            0.81,
            68.3,
            "where the stride is 2 the depthwise convolution has no branches; no skip where the width changes",
        ),
        Step("expansion 2", narrow, 0.65, None, "of the channels that come in, also where the width changes"),
        Step("wider: 48, 96, 192, 384", wide, 0.89, 73.5, "the 16 channels before the first stage stay"),
        Step("early convolutions", early, 0.86, 73.9),
        Step("deeper downsampling", deep, 0.96, 75.4, "squeeze-and-excitation stays after the strided convolution"),
        Step("simple classifier", simple, 0.77, 74.8),
        Step(
            "stage ratio 2:2:14:2",
            ratio,
            0.91,
            76.9,
            "kernels of 5 and squeeze-and-excitation stay in the stages that had them; of stage 3 in the last third",
        ),
        Step("kernels of 3", small_kernels, 0.89, 76.9),
        Step("squeeze-and-excitation in every other block", cross_block, 0.87, 77.4),
    )


WIDTHS = (48, 96, 192, 384)  # of the four stages (paper, section 3.2)


def _with_expansion(rows: Sequence[Row], width: int) -> tuple[Row, ...]:
    """Hidden channels are twice those that come in."""
    made = []
    for row in rows:
        made.append(replace(row, hidden=2 * width))
        width = row.width
    return tuple(made)


def _widened(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The widths of the stages; what comes before the first keeps its own."""
    made, stage = [], -1
    for row in rows:
        stage += row.stride == 2
        made.append(row if stage < 0 else replace(row, width=WIDTHS[stage]))
    return tuple(made)


def _staged(depths: Sequence[int], kernels: Sequence[int], se: Callable[[int, int, int], bool]) -> tuple[Row, ...]:
    """Blocks of four stages; each but the first begins with a downsampling, which the depths do not count.

    Args:
        se: (stage, block or -1 for the downsampling, depth of the stage) -> whether it has squeeze-and-excitation.
    """
    rows = []
    for stage, (depth, kernel, width) in enumerate(zip(depths, kernels, WIDTHS, strict=True)):
        if stage:
            rows.append(Row(kernel, 2 * width, width, se=se(stage, -1, depth), stride=2))
        rows += [Row(kernel, 2 * width, width, se=se(stage, block, depth)) for block in range(depth)]
    return tuple(rows)


def _as_mobilenet(stage: int, block: int, depth: int) -> bool:
    """All of stages 2 and 4, the last third of stage 3: MobileNetV3-L has it in the last two of six there."""
    return stage in (1, 3) or (stage == 2 and block >= depth - depth // 3)


def _every_other(stage: int, block: int, depth: int) -> bool:
    """The first, third, fifth, ... block of each stage; no downsampling."""
    return block >= 0 and block % 2 == 0
