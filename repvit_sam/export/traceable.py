"""Encoder and decoder in a form that exports well: plain arithmetic, no boolean indexing, values within fp16's range.

``PictureEncoder`` takes raw pixels, normalises them and sets the padding to zero; ``PhotoEncoder`` pads them itself.
``PromptDecoder`` is SAM's prompt encoder and mask decoder on labelled points. All give the model's own results with the
model's own parameters (tests/repvit_sam/export/test_traceable.py).
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from segment_anything.modeling import Sam
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from ..canvas import EMBEDDING_STRIDE, LOGITS_STRIDE, PIXEL_MEAN, PIXEL_STD
from ..modeling.sam import SamModel

# Layer norms square deviations from the mean; fp16 is precise for squares of about 0.01 to 256 only. Deviations reach
# 500 in the encoder's neck, and go down to 0.004 where the decoder reads a mask. Powers of two round nothing.
_ENCODER_SCALE, _DECODER_SCALE = 1 / 16, 16.0
_MASKED_SCORE = 1e4  # subtracted from an attention score: softmax gives exactly 0, in fp16 (up to 65504) as well


def prepare(model: SamModel) -> SamModel:
    """A fused copy of the model on the CPU whose layer norms work in fp16. The model itself is not changed."""
    prepared: SamModel = copy.deepcopy(model).fuse().cpu().float().eval().requires_grad_(False)
    prepared.image_encoder.to(memory_format=torch.contiguous_format)
    for part, network in prepared.named_children():
        scale = _ENCODER_SCALE if part == "image_encoder" else _DECODER_SCALE
        for parent in list(network.modules()):
            for name, child in parent.named_children():
                if isinstance(child, LayerNorm2d):
                    setattr(parent, name, ScaledLayerNorm2d(child, scale))
    return prepared


class ScaledLayerNorm2d(nn.Module):
    """SAM's ``LayerNorm2d`` that scales deviations before it squares them.

    In fp16 the square of a large deviation overflows (above 65504) and that of a small one vanishes (below 6e-8).

    Args:
        scale: a power of two.
    """

    def __init__(self, norm: LayerNorm2d, scale: float) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight[:, None, None], norm.bias[:, None, None]
        self.eps, self.scale = norm.eps * scale**2, scale

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), normalised over C."""
        deviation = (x - x.mean(1, keepdim=True)) * self.scale
        variance = (deviation * deviation).mean(1, keepdim=True)
        return self.weight * (deviation / torch.sqrt(variance + self.eps)) + self.bias


class PictureEncoder(nn.Module):
    """Pixels 0..255 with the photo at the top left -> image embedding.

    Padding must be zero *after* normalising, and no 8-bit colour gives that (the mean is 123.675, ...). So the encoder
    takes the size of the photo on the canvas and sets the rest to zero itself, whatever its pixels are.
    """

    mean: Tensor
    std: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, image_encoder: nn.Module, canvas_size: int) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        places = torch.arange(canvas_size, dtype=torch.float32)
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN, dtype=torch.float32).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(PIXEL_STD, dtype=torch.float32).reshape(1, 3, 1, 1))
        self.register_buffer("rows", places.reshape(1, 1, -1, 1))
        self.register_buffer("columns", places.reshape(1, 1, 1, -1))

    def canvas(self, image: Tensor, content_hw: Tensor) -> Tensor:
        """(1, 3, S, S) pixels in 0..255 and (2,) height and width of the photo -> the same canvas as canvas.py's."""
        inside = (content_hw[0] - self.rows).clamp(0, 1) * (content_hw[1] - self.columns).clamp(0, 1)  # 1 or 0
        return (image.float() - self.mean) / self.std * inside

    def forward(self, image: Tensor, content_hw: Tensor) -> Tensor:
        """-> (1, 256, S/16, S/16)"""
        return self.image_encoder(self.canvas(image, content_hw))


class PhotoEncoder(nn.Module):
    """Pixels 0..255 of the photo alone, at its size on the canvas -> image embedding."""

    mean: Tensor
    std: Tensor

    def __init__(self, image_encoder: nn.Module, canvas_size: int) -> None:
        super().__init__()
        self.image_encoder, self.canvas_size = image_encoder, canvas_size
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(PIXEL_STD, dtype=torch.float32))

    def forward(self, input_image: Tensor) -> Tensor:
        """(H, W, 3), neither side longer than the canvas -> (1, 256, S/16, S/16)"""
        content = ((input_image - self.mean) / self.std).permute(2, 0, 1)[None]  # (H, W, 3) -> (1, 3, H, W)
        below, right = self.canvas_size - content.shape[2], self.canvas_size - content.shape[3]
        return self.image_encoder(F.pad(content, (0, right, 0, below)))


class PromptDecoder(nn.Module):
    """Image embedding and labelled points -> logits and predicted IoUs of all four masks.

    Labels: 1 object, 0 background, 2 and 3 the box's top left and bottom right corner, -1 padding.

    Args:
        model: its prompt encoder and mask decoder are used, not copied.
        empty_slots: the meaning of label -1. True: an empty slot, which no token attends to; SAM's padding point is
            added inside when ``SamPredictor`` adds one (points without a box). False: SAM's padding point, as in
            segment_anything's ONNX export; the caller adds one if there is no box.
    """

    image_pe: Tensor
    gaussian: Tensor
    labelled: Tensor
    no_mask: Tensor
    output_tokens: Tensor

    def __init__(self, model: Sam, empty_slots: bool) -> None:
        super().__init__()
        self.empty_slots = empty_slots
        self.canvas_size = int(model.image_encoder.img_size)
        self.mask_downscaling: nn.Module = model.prompt_encoder.mask_downscaling
        self.decoder = model.mask_decoder
        encoder = model.prompt_encoder
        with torch.no_grad():
            kinds = [encoder.not_a_point_embed.weight, *(kind.weight for kind in encoder.point_embeddings)]
            self.register_buffer("labelled", torch.stack([kind[0] for kind in kinds]))  # (5, 256), label -1 first
            self.register_buffer("no_mask", encoder.no_mask_embed.weight.detach().reshape(1, -1, 1, 1))
            self.register_buffer("image_pe", encoder.get_dense_pe().flatten(2).transpose(1, 2))  # (1, h * w, 256)
            self.register_buffer("gaussian", encoder.pe_layer.positional_encoding_gaussian_matrix.detach().clone())
            tokens = torch.cat([self.decoder.iou_token.weight, self.decoder.mask_tokens.weight])
            self.register_buffer("output_tokens", tokens[None].detach().clone())  # (1, 5, 256)

    def forward(
        self, image_embeddings: Tensor, point_coords: Tensor, point_labels: Tensor, mask_input: Tensor, has_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Decode B prompts on one embedding.

        Args:
            image_embeddings: (1, 256, S/16, S/16).
            point_coords: (B, N, 2) x and y in canvas pixels.
            point_labels: (B, N) float.
            mask_input: (B or 1, 1, S/4, S/4) logits.
            has_mask: (1,): 1 to use mask_input, 0 to ignore it.

        Returns:
            low_res_logits (B, 4, S/4, S/4), iou_predictions (B, 4): the single mask first, then the three.
        """
        points = self._embed_points(point_coords, point_labels)
        bias = None
        if self.empty_slots:
            points, bias = self._with_padding_point(points, point_labels)
        has = has_mask.reshape(1, 1, 1, 1)
        dense = has * self.mask_downscaling(mask_input) + (1 - has) * self.no_mask
        tokens = torch.cat([self.output_tokens.expand(points.shape[0], -1, -1), points], dim=1)
        keys = (image_embeddings + dense).flatten(2).transpose(1, 2)  # (B or 1, h * w, 256)
        tokens, keys = self._transform(tokens, keys, bias)
        return self._masks(tokens, keys)

    def _embed_points(self, coords: Tensor, labels: Tensor) -> Tensor:
        coords = 2 * ((coords + 0.5) / self.canvas_size) - 1
        angles = 2 * math.pi * (coords @ self.gaussian)
        position = torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)  # (B, N, 256)
        labels = labels[..., None]
        kinds = [_is(labels, label) for label in (-1, 0, 1, 2, 3)]
        embedding = position * (1 - kinds[0])  # the position of a padding point is not used
        for kind, vector in zip(kinds, self.labelled, strict=True):
            embedding = embedding + kind * vector
        return embedding

    def _with_padding_point(self, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        used = (labels + 1).clamp(0, 1)  # (B, N): 1 for a prompt, 0 for an empty slot
        has_box = (labels - 1).clamp(0, 1).amax(1, keepdim=True)
        padding = used.amax(1, keepdim=True) * (1 - has_box)
        count = points.shape[0]
        points = torch.cat([points, self.labelled[:1][None].expand(count, -1, -1)], dim=1)
        own = torch.ones_like(self.output_tokens[..., 0]).expand(count, -1)
        seen = torch.cat([own, used, padding], dim=1)
        return points, ((seen - 1) * _MASKED_SCORE)[:, None, None]  # (B, 1, 1, tokens), added to attention scores

    def _transform(self, tokens: Tensor, keys: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """SAM's two-way transformer; ``bias`` keeps tokens from attending to empty slots."""
        transformer: Any = self.decoder.transformer
        queries, query_pe, key_pe = tokens, tokens, self.image_pe
        for layer in transformer.layers:
            if layer.skip_first_layer_pe:
                queries = _attend(layer.self_attn, queries, queries, queries, bias)
            else:
                with_pe = queries + query_pe
                queries = queries + _attend(layer.self_attn, with_pe, with_pe, queries, bias)
            queries = layer.norm1(queries)
            attended = _attend(layer.cross_attn_token_to_image, queries + query_pe, keys + key_pe, keys)
            queries = layer.norm2(queries + attended)
            queries = layer.norm3(queries + layer.mlp(queries))
            attended = _attend(layer.cross_attn_image_to_token, keys + key_pe, queries + query_pe, queries, bias)
            keys = layer.norm4(keys + attended)
        attended = _attend(transformer.final_attn_token_to_image, queries + query_pe, keys + key_pe, keys)
        return transformer.norm_final_attn(queries + attended), keys

    def _masks(self, tokens: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        decoder: Any = self.decoder
        grid = self.canvas_size // EMBEDDING_STRIDE
        upscaled = decoder.output_upscaling(keys.transpose(1, 2).reshape(-1, decoder.transformer_dim, grid, grid))
        mlps = enumerate(decoder.output_hypernetworks_mlps)
        hyper = torch.cat([mlp(tokens[:, index + 1 : index + 2]) for index, mlp in mlps], dim=1)  # (B, 4, 32)
        side = self.canvas_size // LOGITS_STRIDE
        logits = (hyper @ upscaled.flatten(2)).reshape(-1, decoder.num_mask_tokens, side, side)
        return logits, decoder.iou_prediction_head(tokens[:, 0])


class CoreMLDecoderModule(nn.Module):
    """The decoder for Core ML, with empty slots; ``upscaled`` adds logits at the size of the canvas."""

    def __init__(self, model: Sam, upscaled: bool = False) -> None:
        super().__init__()
        self.prompt_decoder = PromptDecoder(model, empty_slots=True)
        self.upscaled = upscaled

    def forward(self, image_embedding: Tensor, coords: Tensor, labels: Tensor, mask: Tensor, has: Tensor) -> Any:
        """-> low_res_logits, iou_predictions[, logits (1, 4, S, S)]"""
        logits, ious = self.prompt_decoder(image_embedding, coords, labels, mask, has)
        if not self.upscaled:
            return logits, ious
        return logits, ious, F.interpolate(logits, scale_factor=4.0, mode="bilinear", align_corners=False)


class OnnxDecoderModule(nn.Module):
    """The decoder for ONNX, with segment_anything's names and its upscaling to the size of the photo.

    Args:
        single_mask: return one mask for each prompt, chosen by SAM's rule (``_choose``).
        empty_slots: see ``PromptDecoder``.
    """

    def __init__(self, model: Sam, single_mask: bool = False, empty_slots: bool = False) -> None:
        super().__init__()
        self.prompt_decoder = PromptDecoder(model, empty_slots)
        self.single_mask = single_mask

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """-> masks (B, C, H, W) logits at photo size, iou_predictions (B, C), low_res_masks (B, C, S/4, S/4)"""
        has_mask = has_mask_input.clamp(0, 1)  # osam says -1 for none
        logits, ious = self.prompt_decoder(image_embeddings, point_coords, point_labels, mask_input, has_mask)
        if self.single_mask:
            logits, ious = _choose(logits, ious, point_labels)
        return self._at_photo_size(logits, orig_im_size), ious, logits

    def _at_photo_size(self, logits: Tensor, photo_hw: Tensor) -> Tensor:
        side = self.prompt_decoder.canvas_size
        content_hw = torch.floor(photo_hw * (side / torch.max(photo_hw)) + 0.5).clamp(min=1).to(torch.int64)
        on_canvas = F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)
        content = on_canvas[:, :, : content_hw[0], : content_hw[1]]
        height_width: Any = photo_hw.to(torch.int64)  # tensors, so that the size stays open in the graph
        return F.interpolate(content, (height_width[0], height_width[1]), mode="bilinear", align_corners=False)


def _choose(logits: Tensor, ious: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """One of four by SAM's rule (utils/onnx.py): for up to two points, padding included, the best of the three."""
    first = torch.tensor([[1000.0, 0.0, 0.0, 0.0]])
    points = torch.ones_like(labels[:1]).sum()  # N as a value of the graph
    best = torch.argmax(ious + (points - 2.5) * first, dim=1)
    chosen = F.one_hot(best, 4).to(ious.dtype)
    return (logits * chosen[:, :, None, None]).sum(1, keepdim=True), (ious * chosen).sum(1, keepdim=True)


def _is(labels: Tensor, label: int) -> Tensor:
    """1 for this label, 0 for any other, by arithmetic: bools are slow on phones."""
    return (1 - (labels - label).abs()).clamp(min=0)


def _attend(attention: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """SAM's ``Attention`` with a bias on its scores."""
    heads, width = attention.num_heads, attention.internal_dim // attention.num_heads
    # sizes are taken from the module, not from tensors: those would become operations of the graph
    q, k, v = (
        projected.reshape(projected.shape[0], -1, heads, width).transpose(1, 2)
        for projected in (attention.q_proj(q), attention.k_proj(k), attention.v_proj(v))
    )  # (B, heads, N, c)
    scores = q @ k.transpose(-1, -2) / math.sqrt(width)
    if bias is not None:
        scores = scores + bias
    out = (torch.softmax(scores, dim=-1) @ v).transpose(1, 2)  # (B, N, heads, c)
    return attention.out_proj(out.flatten(2))
