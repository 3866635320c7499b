"""SAM's prompt encoder and mask decoder without the work that segment_anything's repeats.

segment_anything copies the 4096 tokens of the image for each prompt and projects every copy to queries, keys and
values. Here the same parameters give the same logits up to rounding (5e-4; logits go up to 50) in less than a third of
the time on a CPU, because

* what does not depend on the prompt is computed once: projections of the positional encodings for a model, those of the
  image for a photo. They are kept as long as the image embedding is, for the last few photos;
* q (W x) is computed as (q W) x, and a sum of a (W x) as W times the sum of a x: the few tokens of a prompt are
  projected, not those of the image;
* a bias of the keys is left out, as it adds the same number to all logits of a softmax;
* the two transposed convolutions, whose stride is their size, are matrix products on tokens;
* only the masks that the caller wants are computed: not those of another kind, nor those that are rated too low.

Source of the network: Kirillov et al., Segment Anything (arXiv 2304.02643), appendix A; segment_anything.modeling.
benchmarks/clicks.py and benchmarks/prompt_count.py measure it; tests/repvit_sam/modeling/test_fast_decoder.py compares
it with segment_anything's.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from segment_anything.modeling import MaskDecoder, Sam
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.transformer import Attention
from torch import Tensor, nn
from torch.nn import ConvTranspose2d, Linear, functional

from ..prompts import CanvasPrompts
from .decoder import embed_prompts

_PROMPTS_IN_CACHE = 4  # on a CPU; the image's tokens alone are 4 MB for each prompt
_PHOTOS_KEPT = 4  # 10 MB each


@dataclass(frozen=True)
class _Image:
    """A photo as prompts without a mask see it: N tokens of C channels, and their projections in the first layer.

    Attributes:
        tokens: (N, C)
        keys, values: (heads, N, D) for the prompt's tokens as queries.
        queries: (heads, N, D) for the prompt's tokens as keys.
    """

    tokens: Tensor
    keys: Tensor
    values: Tensor
    queries: Tensor


@dataclass(frozen=True)
class _Decoded:
    """Prompts after the transformer.

    Attributes:
        iou_predictions: (B, M)
        tokens: (B, N, C), of the image.
        kernels: (B, C / 8, M), one for each mask.
    """

    iou_predictions: Tensor
    tokens: Tensor
    kernels: Tensor


class FastDecoder:
    """Decodes prompts with a model's parameters as they are now; make a new one when they change.

    Args:
        model: its prompt encoder and mask decoder are used, with SAM's transformer of two layers.
        dtype: of the image's tokens. bfloat16 takes half the time where the processor has it; masks then agree with
            those of float32 to a mean IoU of 0.99. The prompts' few tokens stay float32.
    """

    def __init__(self, model: Sam, dtype: torch.dtype = torch.float32) -> None:
        self._model = model
        self._dtype = dtype
        self._decoder: MaskDecoder = model.mask_decoder
        self._positions = model.prompt_encoder.get_dense_pe()[0].flatten(1).T.contiguous()  # (N, C)
        transformer = self._decoder.transformer
        first, second = transformer.layers
        self._position_keys = [
            _project(attention, attention.k_proj, self._positions).to(dtype)
            for attention in (
                first.cross_attn_token_to_image,
                second.cross_attn_token_to_image,
                transformer.final_attn_token_to_image,
            )
        ]
        self._position_queries = [
            _project(attention, attention.q_proj, self._positions).to(dtype)
            for attention in (first.cross_attn_image_to_token, second.cross_attn_image_to_token)
        ]
        self._images: tuple[tuple[weakref.ref[Tensor], _Image], ...] = ()

    def decode(self, image_embedding: Tensor, prompts: CanvasPrompts, masks: slice) -> tuple[Tensor, Tensor]:
        """Decode B prompts on one photo.

        Args:
            image_embedding: (1, 256, S/16, S/16).
            prompts: tensors on the model's device.
            masks: which of the decoder's four masks: ``masks.mask_slice``, or ``masks.ALL_MASKS``.

        Returns:
            low_res_logits (B, M, S/4, S/4) and iou_predictions (B, M).
        """
        parts = [
            (self._logits(decoded.tokens, decoded.kernels, image_embedding), decoded.iou_predictions)
            for decoded in self._transformed(image_embedding, prompts, masks)
        ]
        logits, ious = zip(*parts, strict=True)
        return torch.cat(logits), torch.cat(ious)

    def decode_confident(
        self, image_embedding: Tensor, prompts: CanvasPrompts, masks: slice, min_iou: float
    ) -> tuple[Tensor, Tensor]:
        """As ``decode``, with logits only for masks whose predicted IoU is above ``min_iou``.

        Returns:
            low_res_logits (K, S/4, S/4) of the masks at ``(iou_predictions > min_iou).nonzero()``, in this order, and
            iou_predictions (B, M) of all.
        """
        logits, ious = [], []
        for decoded in self._transformed(image_embedding, prompts, masks):
            wanted = decoded.iou_predictions > min_iou
            rows = wanted.any(1)
            found = self._logits(decoded.tokens[rows], decoded.kernels[rows], image_embedding)
            logits.append(found[wanted[rows]])
            ious.append(decoded.iou_predictions)
        return torch.cat(logits), torch.cat(ious)

    def _transformed(self, image_embedding: Tensor, prompts: CanvasPrompts, masks: slice) -> Iterator[_Decoded]:
        """A few prompts at a time."""
        sparse, dense = embed_prompts(self._model, prompts)
        image = self._image(image_embedding, dense) if prompts.mask_input is None else None
        wanted = range(self._decoder.num_mask_tokens)[masks]
        at_once = _PROMPTS_IN_CACHE if image_embedding.device.type == "cpu" else len(sparse)
        for start in range(0, len(sparse), at_once):
            part = sparse[start : start + at_once]
            if image is None:
                own = dense if len(dense) == 1 else dense[start : start + at_once]
                tokens = (image_embedding + own).flatten(2).transpose(1, 2).to(self._dtype).contiguous()
                prompt, tokens = self._transform(part, tokens.expand(len(part), -1, -1), None)
            else:
                prompt, tokens = self._transform(part, image.tokens, image)
            networks = self._decoder.output_hypernetworks_mlps
            kernels = torch.stack([networks[mask](prompt[:, 1 + mask]) for mask in wanted], dim=2)
            yield _Decoded(self._decoder.iou_prediction_head(prompt[:, 0])[:, masks], tokens, kernels)

    def _image(self, image_embedding: Tensor, no_mask: Tensor) -> _Image:
        for reference, image in self._images:
            if reference() is image_embedding:
                return image
        tokens = (image_embedding + no_mask[:1]).flatten(2)[0].T.contiguous()
        placed = tokens + self._positions
        layer = self._decoder.transformer.layers[0]
        to_image, to_tokens = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        image = _Image(
            tokens.to(self._dtype),
            _project(to_image, to_image.k_proj, placed).to(self._dtype),
            _project(to_image, to_image.v_proj, tokens).to(self._dtype),
            _project(to_tokens, to_tokens.q_proj, placed).to(self._dtype),
        )
        kept = [pair for pair in self._images if pair[0]() is not None]
        self._images = ((weakref.ref(image_embedding), image), *kept[: _PHOTOS_KEPT - 1])
        return image

    def _transform(self, sparse: Tensor, tokens: Tensor, image: _Image | None) -> tuple[Tensor, Tensor]:
        """The two-way transformer: (B, T, C) -> prompt tokens (B, 5 + T, C) and image tokens (B, N, C).

        Args:
            sparse: embedded points and boxes.
            tokens: of the image, (N, C) if the same for all prompts, else (B, N, C).
            image: projections for the first layer; None computes without them.
        """
        output_tokens = torch.cat([self._decoder.iou_token.weight, self._decoder.mask_tokens.weight])
        start = torch.cat([output_tokens.expand(len(sparse), -1, -1), sparse], dim=1)
        prompt = start
        transformer = self._decoder.transformer
        for number, layer in enumerate(transformer.layers):
            if layer.skip_first_layer_pe:
                prompt = layer.self_attn(q=prompt, k=prompt, v=prompt)
            else:
                placed = prompt + start
                prompt = prompt + layer.self_attn(q=placed, k=placed, v=prompt)
            prompt = layer.norm1(prompt)
            to_image, to_tokens = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
            if number == 0 and image is not None:
                seen = _tokens_to_projected(to_image, prompt + start, image)
            else:
                seen = _tokens_to_image(to_image, prompt + start, tokens, self._position_keys[number])
            prompt = layer.norm2(prompt + seen)
            prompt = layer.norm3(prompt + layer.mlp(prompt))
            per_head = _heads(to_tokens, to_tokens.k_proj(prompt + start)) / _scale(to_tokens)
            if number == 0 and image is not None:
                logits = torch.matmul(per_head.transpose(1, 2).to(self._dtype), image.queries.transpose(1, 2))
            else:
                weight = to_tokens.q_proj.weight
                logits = _products(to_tokens, per_head, weight, tokens, self._position_queries[number])
            tokens = _layer_norm(layer.norm4, _image_to_tokens(to_tokens, logits, per_head, prompt).add_(tokens))
        last = transformer.final_attn_token_to_image
        seen = _tokens_to_image(last, prompt + start, tokens, self._position_keys[-1])
        return transformer.norm_final_attn(prompt + seen), tokens

    def _logits(self, tokens: Tensor, kernels: Tensor, image_embedding: Tensor) -> Tensor:
        """Image tokens (B, h * w, C) and kernels (B, C / 8, M) -> logits (B, M, 4h, 4w)."""
        first, norm, activation, second, _ = self._decoder.output_upscaling
        fine = _on_tokens(first, tokens)  # (B, N, 2 * 2, C / 4)
        fine = activation(_layer_norm(norm, fine))
        finest = activation(_on_tokens(second, fine))  # (B, N, 2 * 2, 2 * 2, C / 8)
        logits = finest.view(len(tokens), finest.shape[1:-1].numel(), kernels.shape[1]) @ kernels.to(finest.dtype)
        height, width = image_embedding.shape[-2:]
        masks = kernels.shape[2]
        logits = logits.float().view(len(tokens), height, width, 2, 2, 2, 2, masks)
        return logits.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(-1, masks, 4 * height, 4 * width)


def _tokens_to_projected(attention: Attention, queries: Tensor, image: _Image) -> Tensor:
    """Cross-attention from prompt tokens to an image that is projected already: (B, T, C) -> (B, T, C)."""
    count, tokens, _ = queries.shape
    per_head = _heads(attention, attention.q_proj(queries)) / _scale(attention)
    by_head = per_head.permute(2, 0, 1, 3).flatten(1, 2)  # (heads, B * T, D)
    weights = torch.bmm(by_head.to(image.keys.dtype), image.keys.transpose(1, 2)).softmax(-1)
    seen = torch.bmm(weights, image.values).float().view(attention.num_heads, count, tokens, -1)
    return attention.out_proj(seen.permute(1, 2, 0, 3).flatten(2) + attention.v_proj.bias)


def _tokens_to_image(attention: Attention, queries: Tensor, tokens: Tensor, position_keys: Tensor) -> Tensor:
    """Cross-attention from prompt tokens (B, T, C) to image tokens (B, N, C) -> (B, T, C)."""
    per_head = _heads(attention, attention.q_proj(queries)) / _scale(attention)
    weights = _products(attention, per_head, attention.k_proj.weight, tokens, position_keys).softmax(-1)
    seen = torch.bmm(weights.flatten(1, 2), tokens).float().view(*weights.shape[:3], -1)  # (B, heads, T, C)
    values = torch.einsum("bhtc,hdc->bthd", seen, _kernels(attention, attention.v_proj.weight)).flatten(2)
    return attention.out_proj(values + attention.v_proj.bias)


def _image_to_tokens(attention: Attention, logits: Tensor, per_head: Tensor, values: Tensor) -> Tensor:
    """Cross-attention from the image to prompt tokens.

    Args:
        logits: (B, heads, T, N) products of the image's queries, without their bias, and the prompt's keys.
        per_head: the prompt's keys, (B, T, heads, D).
        values: (B, T, C)

    Returns:
        (B, N, C)
    """
    from_bias = (per_head * attention.q_proj.bias.view(attention.num_heads, -1)).sum(-1)
    weights = logits.add_(from_bias.transpose(1, 2)[..., None]).softmax(2).flatten(1, 2)  # over the prompt's tokens
    out = _fold(attention, _heads(attention, attention.v_proj(values)), attention.out_proj.weight.T)
    return torch.bmm(weights.transpose(1, 2), out.to(weights.dtype)).add_(attention.out_proj.bias)


def _products(attention: Attention, per_head: Tensor, weight: Tensor, tokens: Tensor, positions: Tensor) -> Tensor:
    """Products of a prompt's (B, T, heads, D) with projected image tokens plus positions -> (B, heads, T, N).

    Args:
        weight: of the projection, (heads * D, C).
        tokens: (B, N, C)
        positions: projected already, (heads, N, D).
    """
    from_positions = torch.matmul(per_head.transpose(1, 2).to(tokens.dtype), positions.transpose(1, 2))
    folded = _fold(attention, per_head, weight).to(tokens.dtype)
    return from_positions.flatten(1, 2).baddbmm_(folded, tokens.transpose(1, 2)).view_as(from_positions)


def _project(attention: Attention, projection: Linear, tokens: Tensor) -> Tensor:
    """(N, C) -> (heads, N, D), without the bias."""
    return _heads(attention, functional.linear(tokens, projection.weight)).transpose(0, 1).contiguous()


def _heads(attention: Attention, projected: Tensor) -> Tensor:
    """(..., heads * D) -> (..., heads, D)."""
    return projected.view(*projected.shape[:-1], attention.num_heads, -1)


def _kernels(attention: Attention, weight: Tensor) -> Tensor:
    """(heads * D, C) -> (heads, D, C)."""
    return weight.reshape(attention.num_heads, -1, weight.shape[1])


def _scale(attention: Attention) -> float:
    return math.sqrt(attention.internal_dim // attention.num_heads)


def _fold(attention: Attention, per_head: Tensor, weight: Tensor) -> Tensor:
    """(B, T, heads, D) times a projection (heads * D, C), head by head -> (B, heads * T, C)."""
    return torch.einsum("bthd,hdc->bhtc", per_head, _kernels(attention, weight)).flatten(1, 2)


def _on_tokens(convolution: ConvTranspose2d, tokens: Tensor) -> Tensor:
    """A transposed convolution of size and stride 2 on tokens (..., C) -> (..., 2 * 2, channels), row by row."""
    weight = convolution.weight.permute(0, 2, 3, 1).flatten(1).to(tokens.dtype)
    made = (tokens.reshape(-1, tokens.shape[-1]) @ weight).view(*tokens.shape[:-1], 4, convolution.out_channels)
    return made if convolution.bias is None else made.add_(convolution.bias)


def _layer_norm(norm: LayerNorm2d | nn.LayerNorm, tokens: Tensor) -> Tensor:
    """Over the channels, which are last: (..., C) -> (..., C)."""
    weight, bias = norm.weight.to(tokens.dtype), norm.bias.to(tokens.dtype)
    return functional.layer_norm(tokens, tokens.shape[-1:], weight, bias, norm.eps)
