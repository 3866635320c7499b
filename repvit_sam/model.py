"""Image encoder + SAM's prompt encoder and mask decoder: one network, by name, by size, or from a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from segment_anything import build_sam_vit_b, build_sam_vit_h, build_sam_vit_l
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

from .canvas import CANVAS_SIZE, EMBEDDING_STRIDE, PIXEL_MEAN, PIXEL_STD, check_canvas_size
from .checkpoints import Checkpoint, Layout, find_checkpoint, load_weights, read_checkpoint, save_checkpoint
from .embedding import encoder_fingerprint
from .errors import CheckpointError
from .image_encoder import EMBEDDING_CHANNELS, FAMILIES, ImageEncoder, fuse_batch_norms

# SAM's own encoders are taken from segment_anything as they are: fixed 1024 canvas, nothing to fuse.
SAM_VITS: dict[str, Callable[..., Sam]] = {
    "vit_b": build_sam_vit_b,
    "vit_l": build_sam_vit_l,
    "vit_h": build_sam_vit_h,
}
VARIANTS = (*FAMILIES, *SAM_VITS)
_DEVICES = ("cpu", "cuda", "mps", "xpu")


class SamModel(Sam):  # type: ignore[misc]
    """A segment_anything ``Sam`` (same parts, same ``forward``) that knows its variant and can be fused.

    Attributes:
        variant: one of ``VARIANTS``.
        canvas_size: side of the square input in pixels.
        fused: whether ``fuse`` was called.
        checkpoint: what the weights were read from, or None for fresh ones.
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
        """Fold the encoder's batch norms and branches, in place: the same masks, faster; for inference only."""
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
        """Write the weights: ``.safetensors`` in the project's layout, ``.pt`` in the variant's published one.

        Args:
            half: store kernels and matrices as fp16.
            provenance: where the weights come from, recipe, licence; added to what was loaded.

        Raises:
            CheckpointError: the model is fused (its batch norms are gone; save before fusing), or an unknown suffix.
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


def load(
    name_or_path: str | os.PathLike[str] = "default",
    device: str | torch.device = "auto",
    fuse: bool = True,
    canvas: int | None = None,
) -> SamModel:
    """A model ready to predict.

    Args:
        name_or_path: "default", "small", a name of the catalogue (``repvit-sam weights list``), or the path of a
            checkpoint in any known layout; the variant is read off the file.
        device: "auto" takes CUDA, then Apple's MPS, then the CPU.
        fuse: fold batch norms (the same masks, faster). False keeps the network trainable.
        canvas: side of the canvas in pixels; None takes the checkpoint's. A smaller one is faster and coarser; SAM's
            ViTs know 1024 only.

    Raises:
        CheckpointError: not on this machine, not a checkpoint, or it does not fit; the message says which key.
        ValueError: the device is not there, or the canvas is none for this variant.
    """
    checkpoint = read_checkpoint(find_checkpoint(name_or_path))
    model = _build(checkpoint.variant, checkpoint.canvas_size if canvas is None else canvas)
    load_weights(model, checkpoint)
    model.checkpoint = checkpoint.without_weights()
    if fuse:
        model.fuse()
    chosen = pick_device(device)
    if chosen.type in ("cpu", "cuda"):
        model.image_encoder.to(memory_format=torch.channels_last)  # a fifth faster on CPUs: benchmarks/encoder.py
    return model.to(chosen).eval()


def build_repvit_sam(
    variant: str = "repvit_m2_3",
    checkpoint: str | os.PathLike[str] | None = None,
    canvas: int | None = None,
    pretrained: bool = False,
    device: str | torch.device = "cpu",
) -> SamModel:
    """Assemble one model, unfused and in eval mode.

    Args:
        variant: one of ``VARIANTS``.
        checkpoint: weights of exactly this variant; None leaves them random.
        canvas: side of the canvas in pixels, a multiple of 64 up to 4096; None takes the checkpoint's, else 1024.
            SAM's ViTs know 1024 only.
        pretrained: start the image encoder from timm's ImageNet weights (not together with ``checkpoint``).

    Raises:
        CheckpointError: the file cannot be read or holds another variant.
        ValueError: unknown variant, canvas or device.
        ConnectionError: ``pretrained`` weights cannot be fetched.
    """
    if pretrained and checkpoint is not None:
        raise ValueError("give either checkpoint or pretrained=True, not both")
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    if checkpoint is None:
        return _build(variant, CANVAS_SIZE if canvas is None else canvas, pretrained).to(pick_device(device)).eval()
    read = read_checkpoint(find_checkpoint(checkpoint))
    if read.variant != variant:
        raise CheckpointError(f"{read.path} holds {read.variant}, not {variant}; build that variant instead")
    model = _build(variant, read.canvas_size if canvas is None else canvas)
    load_weights(model, read)
    model.checkpoint = read.without_weights()
    return model.to(pick_device(device)).eval()


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """ "auto" -> CUDA, then MPS, then CPU; anything else must be there."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        if chosen.type not in _DEVICES:
            raise RuntimeError(f"only {', '.join(_DEVICES)} compute")
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {str(device)!r} is not available here ({reason}); try 'auto' or 'cpu'") from None
    return chosen


def _build(variant: str, canvas_size: int, pretrained: bool = False) -> SamModel:
    check_canvas_size(canvas_size)
    if variant in SAM_VITS:
        if canvas_size != CANVAS_SIZE or pretrained:
            raise ValueError(f"{variant} works on a canvas of {CANVAS_SIZE} only and has no ImageNet start here")
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


# The entry point of segment_anything, MobileSAM and the published RepViT-SAM: sam_model_registry[key](checkpoint=...).
sam_model_registry: dict[str, Callable[..., SamModel]] = {
    "default": partial(build_repvit_sam, "vit_h"),
    "repvit": partial(build_repvit_sam, "repvit_m2_3"),
    **{variant: partial(build_repvit_sam, variant) for variant in VARIANTS},
}
