"""The key layouts: the five ways in which files name these weights, and the mapping between them.

In published RepViT files the blocks of all stages have running numbers, and the last block before a downsampling
belongs to the stage before it; timm has it in the next stage, as ``downsample.pre_block``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import CheckpointError

State = dict[str, Tensor]

# timm's blocks per stage (PUBLISHED: arXiv 2307.09283, table of variants) and the width of the first stage
REPVIT_DEPTHS: dict[str, tuple[int, int, int, int]] = {
    "repvit_m0_9": (2, 2, 14, 2),
    "repvit_m1_0": (2, 2, 14, 2),
    "repvit_m1_1": (2, 2, 12, 2),
    "repvit_m1_5": (4, 4, 24, 4),
    "repvit_m2_3": (6, 6, 34, 2),
}
_REPVIT_WIDTHS = {"repvit_m0_9": 48, "repvit_m1_0": 56, "repvit_m1_1": 64, "repvit_m1_5": 64, "repvit_m2_3": 80}
_VIT_WIDTHS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}


class Layout(str, Enum):
    """A key layout.

    * ``OWN``, this project's, and the only one in the program: timm's names below ``image_encoder.body``, SAM's for
      the rest (``image_encoder.neck…``, ``prompt_encoder…``, ``mask_decoder…``)
    * ``PUBLISHED``: THU-MIG/RepViT's ``repvit_sam.pt``: ``image_encoder.features.N…``
    * ``MOBILE_SAM``: ChaoningZhang/MobileSAM's ``mobile_sam.pt``: ``image_encoder.layers.N…``
    * ``SEGMENT_ANYTHING``: SAM's ViTs: ``image_encoder.blocks.N…``; not renamed in the program
    * ``ENCODER``: an image encoder without a decoder (``body…``, ``neck…``), as encoder distillation writes it
    """

    OWN = "repvit-sam"
    PUBLISHED = "published"
    MOBILE_SAM = "mobile-sam"
    SEGMENT_ANYTHING = "segment-anything"
    ENCODER = "encoder"


def detect_layout(keys: Iterable[str]) -> Layout | None:
    """The key layout that these names belong to, or None."""
    keys = set(keys)
    signs = {
        Layout.OWN: "image_encoder.body.",
        Layout.PUBLISHED: "image_encoder.features.",
        Layout.MOBILE_SAM: "image_encoder.layers.",
        Layout.SEGMENT_ANYTHING: "image_encoder.blocks.",
        Layout.ENCODER: "body.",
    }
    return next((layout for layout, sign in signs.items() if any(key.startswith(sign) for key in keys)), None)


def published_layout_of(variant: str) -> Layout:
    """The key layout in which other people's code expects this variant."""
    if variant in REPVIT_DEPTHS:
        return Layout.PUBLISHED
    return Layout.MOBILE_SAM if variant == "vit_t" else Layout.SEGMENT_ANYTHING


def detect_variant(state: Mapping[str, Tensor]) -> str | None:
    """The variant of a state dict in ``Layout.OWN``, by its shapes; None for an unknown one."""
    if "image_encoder.pos_embed" in state:
        return _VIT_WIDTHS.get(_length(state["image_encoder.pos_embed"], -1))
    if any(key.startswith("image_encoder.body.patch_embed.") for key in state):
        return "vit_t"
    stem = state.get("image_encoder.body.stem.conv2.c.weight", state.get("image_encoder.body.stem.conv2.weight"))
    if stem is None:
        return None
    width, depth = _length(stem, 0), _count_blocks(state, "image_encoder.body.stages.2.blocks.")
    for variant, depths in REPVIT_DEPTHS.items():
        if _REPVIT_WIDTHS[variant] == width and depths[2] == depth:
            return variant
    return None


def _length(tensor: Tensor, dimension: int) -> int:
    """0 for a single number, which has no dimensions."""
    return tensor.shape[dimension] if tensor.ndim else 0


def to_own(state: Mapping[str, Tensor], layout: Layout) -> State:
    """A state dict in any key layout -> ``Layout.OWN``. From ``Layout.ENCODER`` it has the encoder's weights only.

    Raises:
        CheckpointError: a published RepViT of unknown depth.
    """
    if layout is Layout.ENCODER:
        return {f"image_encoder.{key}": value for key, value in state.items()}
    if layout is Layout.PUBLISHED:
        depths = _published_depths(state)
        return _rename_prefixes(state, dict(_published_prefixes(depths)))
    if layout is Layout.MOBILE_SAM:
        kept = {key: value for key, value in state.items() if not key.startswith(_MOBILE_SAM_HEADS)}
        return {_mobile_sam_to_own(key): value for key, value in kept.items()}
    return dict(state)


def from_own(state: Mapping[str, Tensor], layout: Layout, variant: str) -> State:
    """A state dict in ``Layout.OWN`` -> another key layout.

    Raises:
        CheckpointError: the key layout does not exist for the variant.
    """
    if layout is Layout.OWN:
        return dict(state)
    if layout is Layout.ENCODER and variant not in _VIT_WIDTHS.values():
        prefix = "image_encoder."
        return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    if layout is not published_layout_of(variant):
        raise CheckpointError(
            f"the key layout {layout.value!r} does not exist for {variant}; its published one is "
            f"{published_layout_of(variant).value!r}"
        )
    if layout is Layout.PUBLISHED:
        prefixes = _published_prefixes(REPVIT_DEPTHS[variant])
        return _rename_prefixes(state, {own: published for published, own in prefixes})
    if layout is Layout.MOBILE_SAM:
        return {_own_to_mobile_sam(key): value for key, value in state.items()} | _mobile_sam_unused_head()
    return dict(state)


def backbone_to_own(state: Mapping[str, Tensor]) -> State:
    """An ImageNet classifier in timm's names or its authors' -> the names of an encoder's body in ``Layout.OWN``.

    Its heads are left out. The authors' names are those of ``Layout.PUBLISHED`` without ``image_encoder.``.

    Raises:
        CheckpointError: the names are of no RepViT, or it has a depth that no encoder has.
    """
    if any(key.startswith("features.") for key in state):
        kept = {f"image_encoder.{key}": value for key, value in state.items() if key.startswith("features.")}
        return to_own(kept, Layout.PUBLISHED)
    if any(key.startswith("stem.conv1.c.") for key in state):
        return {f"image_encoder.body.{key}": v for key, v in state.items() if not key.startswith("head.")}
    some = ", ".join(list(state)[:3])
    raise CheckpointError(f"its names are of no RepViT classifier, timm's or its authors' (its first keys: {some})")


def _count_blocks(state: Iterable[str], prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})


def _rename_prefixes(state: Mapping[str, Tensor], prefixes: Mapping[str, str]) -> State:
    """Replace the longest known prefix of each key; keys without a known prefix keep their name."""
    renamed: State = {}
    for key, value in state.items():
        parts = key.split(".")
        for end in range(len(parts) - 1, 0, -1):
            known = prefixes.get(".".join(parts[:end]))
            if known is not None:
                key = ".".join([known, *parts[end:]])
                break
        renamed[key] = value
    return renamed


def _published_depths(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Blocks per stage as timm counts them, from the running numbers of a published file."""
    feature = re.compile(r"image_encoder\.features\.(\d{1,4})\.(token_mixer\.2\.)?")
    rows = [match for match in map(feature.match, state) if match]
    last = max((int(row.group(1)) for row in rows), default=0)
    # a downsampling row has a second convolution (token_mixer.2); rows before it are blocks, the last its pre-block
    downsamplings = sorted({int(row.group(1)) for row in rows if row.group(2)})
    stages = [after - before - 1 for before, after in pairwise([0, *downsamplings, last + 1])]
    depths = (*(count - 1 for count in stages[:-1]), stages[-1])
    if depths not in REPVIT_DEPTHS.values():
        raise CheckpointError(f"its image encoder is no known RepViT (blocks per stage: {depths})")
    return depths


def _published_prefixes(depths: tuple[int, ...]) -> list[tuple[str, str]]:
    """Pairs of (published, own) prefixes for all parts of a RepViT of these depths."""
    features, body = "image_encoder.features", "image_encoder.body"
    pairs = [(f"{features}.0.0", f"{body}.stem.conv1"), (f"{features}.0.2", f"{body}.stem.conv2")]

    def block(number: int, own: str) -> None:
        row = f"{features}.{number}"
        pairs.extend(
            [
                (f"{row}.token_mixer.0", f"{own}.token_mixer"),
                (f"{row}.token_mixer.1", f"{own}.se"),
                (f"{row}.channel_mixer.m.0", f"{own}.channel_mixer.conv1"),
                (f"{row}.channel_mixer.m.2", f"{own}.channel_mixer.conv2"),
            ]
        )

    number = 1
    for stage, depth in enumerate(depths):
        if stage > 0:
            downsample = f"{body}.stages.{stage}.downsample"
            block(number, f"{downsample}.pre_block")
            row = f"{features}.{number + 1}"
            pairs.extend(
                [
                    (f"{row}.token_mixer.0", f"{downsample}.spatial_downsample"),
                    (f"{row}.token_mixer.2", f"{downsample}.channel_downsample"),
                    (f"{row}.channel_mixer.m.0", f"{downsample}.ffn.conv1"),
                    (f"{row}.channel_mixer.m.2", f"{downsample}.ffn.conv2"),
                ]
            )
            number += 2
        for index in range(depth):
            block(number, f"{body}.stages.{stage}.blocks.{index}")
            number += 1
    return pairs


# MobileSAM's file has TinyViT's classifier as well, which SAM does not use
_MOBILE_SAM_HEADS = ("image_encoder.head.", "image_encoder.norm_head.")


def _mobile_sam_to_own(key: str) -> str:
    if not key.startswith("image_encoder.") or key.startswith("image_encoder.neck."):
        return key
    key = key.replace("image_encoder.patch_embed.seq.0.", "image_encoder.body.patch_embed.conv1.")
    key = key.replace("image_encoder.patch_embed.seq.2.", "image_encoder.body.patch_embed.conv2.")
    # in MobileSAM a downsampling ends its stage; in timm it starts the next one
    key = re.sub(
        r"^image_encoder\.layers\.(\d{1,4})\.downsample\.",
        lambda match: f"image_encoder.body.stages.{int(match.group(1)) + 1}.downsample.",
        key,
    )
    key = re.sub(r"^image_encoder\.layers\.", "image_encoder.body.stages.", key)
    return key.replace(".c.", ".conv.")


def _own_to_mobile_sam(key: str) -> str:
    if not key.startswith("image_encoder.body."):
        return key
    key = key.replace(".conv.", ".c.")
    key = key.replace("image_encoder.body.patch_embed.conv1.", "image_encoder.patch_embed.seq.0.")
    key = key.replace("image_encoder.body.patch_embed.conv2.", "image_encoder.patch_embed.seq.2.")
    key = re.sub(
        r"^image_encoder\.body\.stages\.(\d+)\.downsample\.",
        lambda match: f"image_encoder.layers.{int(match.group(1)) - 1}.downsample.",
        key,
    )
    return re.sub(r"^image_encoder\.body\.stages\.", "image_encoder.layers.", key)


def _mobile_sam_unused_head() -> State:
    """The four keys that MobileSAM's strict loading needs, and its network never uses."""
    return {
        "image_encoder.norm_head.weight": torch.ones(320),
        "image_encoder.norm_head.bias": torch.zeros(320),
        "image_encoder.head.weight": torch.zeros(1000, 320),
        "image_encoder.head.bias": torch.zeros(1000),
    }
