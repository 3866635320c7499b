"""``SamModel``: an image encoder with SAM's prompt encoder and mask decoder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from segment_anything import build_sam_vit_b, build_sam_vit_h, build_sam_vit_l
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

from ..canvas import CANVAS_SIZE, EMBEDDING_CHANNELS, EMBEDDING_STRIDE, PIXEL_MEAN, PIXEL_STD, check_canvas_size
from ..checkpoints import Checkpoint, Layout, save_checkpoint
from ..embedding import encoder_fingerprint
from ..errors import CheckpointError
from .image_encoder import TIMM_ENCODERS, ImageEncoder, Pretrained, fuse_batch_norms

# SAM's own encoders, from segment_anything: canvas of 1024 only, nothing to fuse
SAM_VITS: dict[str, Callable[..., Sam]] = {
    "vit_b": build_sam_vit_b,
    "vit_l": build_sam_vit_l,
    "vit_h": build_sam_vit_h,
}
VARIANTS = (*TIMM_ENCODERS, *SAM_VITS)


class SamModel(Sam):  # type: ignore[misc]
    """A segment_anything ``Sam`` (same parts, same ``forward``) that knows its variant, can be fused and saved.

    Attributes:
        variant: one of ``VARIANTS``.
        canvas_size: side of the canvas in pixels.
        fused: whether ``fuse`` was called.
        checkpoint: the file that the weights were read from, without the weights; None for fresh ones.

    Example:
        >>> import repvit_sam, tempfile
        >>> model = repvit_sam.load("small", device="cpu", fuse=False)
        >>> model.save(tempfile.mkdtemp() + "/mine.safetensors", half=True, provenance={"recipe": "none"})
        >>> model.fuse().fused
        True
    """

    def __init__(
        self, variant: str, image_encoder: nn.Module, prompt_encoder: nn.Module, mask_decoder: nn.Module
    ) -> None:
        super().__init__(image_encoder, prompt_encoder, mask_decoder, list(PIXEL_MEAN), list(PIXEL_STD))
        self.variant = variant
        self.fused = False
        self.checkpoint: Checkpoint | None = None

    @property
    def canvas_size(self) -> int:
        return self.image_encoder.img_size

    def fuse(self) -> SamModel:
        """Fold the encoder's batch norms and branches into its convolutions, in place; returns the model.

        Inference becomes faster and its masks stay the same; a fused model can be neither trained nor saved.
        """
        if not self.fused and isinstance(self.image_encoder, ImageEncoder):
            # embeddings saved before and after fusing belong to the same encoder
            encoder: ImageEncoder = self.image_encoder
            encoder.fingerprint_before_fusing = encoder_fingerprint(encoder)
            fuse_batch_norms(encoder)
            self.fused = True
        return self

    def save(
        self,
        path: str | os.PathLike[str],
        half: bool = False,
        provenance: Mapping[str, str] | None = None,
    ) -> None:
        """Write the weights: ``.safetensors`` in the project's key layout, ``.pt`` in the variant's published one.

        Args:
            half: store kernels and matrices as fp16.
            provenance: where the weights come from, recipe, licence; added to that of the loaded checkpoint.

        Raises:
            CheckpointError: the model is fused (its batch norms are gone), or the suffix is unknown.
        """
        if self.fused:
            raise CheckpointError("a fused model cannot be saved: load it with fuse=False, then save")
        known = self.checkpoint.provenance if self.checkpoint else {}
        checkpoint = Checkpoint(
            path=Path(path),
            layout=Layout.OWN,
            variant=self.variant,
            canvas_size=self.canvas_size,
            provenance={**known, **(provenance or {})},
            state=self.state_dict(),
        )
        save_checkpoint(checkpoint, path, half=half)


def build_network(variant: str, canvas_size: int, pretrained: Pretrained = False) -> SamModel:
    """A network with random weights, or with an image encoder from ImageNet weights (see ``ImageEncoder``).

    Raises:
        ValueError: unknown variant, or a canvas size or start with which this variant cannot work.
        CheckpointError: the ``pretrained`` file holds no classifier of this variant.
        ConnectionError: ``pretrained`` weights cannot be downloaded.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    check_canvas_size(canvas_size)
    if variant in SAM_VITS:
        if canvas_size != CANVAS_SIZE or pretrained is not False:
            raise ValueError(f"{variant} works with canvas={CANVAS_SIZE} and pretrained=False only")
        sam = SAM_VITS[variant]()
        return SamModel(variant, sam.image_encoder, sam.prompt_encoder, sam.mask_decoder)
    return SamModel(
        variant,
        ImageEncoder(variant, canvas_size, pretrained=pretrained),
        _build_prompt_encoder(canvas_size),
        _build_mask_decoder(),
    )


def _build_prompt_encoder(canvas_size: int) -> nn.Module:
    grid = canvas_size // EMBEDDING_STRIDE
    return PromptEncoder(
        embed_dim=EMBEDDING_CHANNELS,
        image_embedding_size=(grid, grid),
        input_image_size=(canvas_size, canvas_size),
        mask_in_chans=16,
    )


def _build_mask_decoder() -> nn.Module:
    transformer = TwoWayTransformer(depth=2, embedding_dim=EMBEDDING_CHANNELS, mlp_dim=2048, num_heads=8)
    return MaskDecoder(
        num_multimask_outputs=3,
        transformer=transformer,
        transformer_dim=EMBEDDING_CHANNELS,
        iou_head_depth=3,
        iou_head_hidden_dim=256,
    )
