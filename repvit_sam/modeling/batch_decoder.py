"""SAM's mask decoder for many prompts on one photo, without the work that it repeats for each of them.

segment_anything copies the 4096 tokens of the image for each prompt and projects every copy to queries, keys and
values. Here the same parameters give the same logits up to rounding (5e-4; logits go up to 50) in a third of the time
on a CPU, because

* q (W x) is computed as (q W) x, and a sum of a (W x) as W times the sum of a x: the few tokens of a prompt are
  projected, not those of the image;
* a bias of the keys is left out, as it adds the same number to all logits of a softmax;
* until the first layer changes them, the image's tokens are the same for all prompts, and stay one matrix;
* the two transposed convolutions, whose stride is their size, are matrix products on tokens;
* only the masks that the caller wants are computed.

Source of the network: Kirillov et al., Segment Anything (arXiv 2304.02643), appendix A; segment_anything.modeling.
benchmarks/boxes.py measures it; tests/repvit_sam/modeling/test_batch_decoder.py compares it with segment_anything's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from segment_anything.modeling import MaskDecoder
from segment_anything.modeling.transformer import Attention
from torch import Tensor
from torch.nn import ConvTranspose2d, functional

_PROMPTS_IN_CACHE = 4  # on a CPU; the image's tokens alone are 4 MB for each prompt


@dataclass(frozen=True)
class _ImageTokens:
    """The image as prompts attend to it: N tokens of C channels.

    Attributes:
        values: (N, C) the same for all prompts, or (B, N, C), different for each prompt.
        positions: (N, C) positional encodings, added where the tokens are keys or queries.
    """

    values: Tensor
    positions: Tensor

    def products(self, vectors: Tensor) -> Tensor:
        """(B, M, C) -> (B, M, N): dot products of each vector with each token plus its position."""
        b, m, c = vectors.shape
        rows = vectors.reshape(-1, c)
        if self.values.ndim == 2:
            return (rows @ (self.values + self.positions).T).view(b, m, -1)
        return (rows @ self.positions.T).view(b, m, -1).baddbmm_(vectors, self.values.transpose(1, 2))

    def sums(self, weights: Tensor) -> Tensor:
        """(B, M, N) -> (B, M, C): weighted sums of the tokens without their positions."""
        if self.values.ndim == 2:
            return (weights.flatten(0, 1) @ self.values).view(*weights.shape[:2], -1)
        return weights @ self.values

    def plus(self, change: Tensor) -> _ImageTokens:
        """The tokens plus (B, N, C), which differs between prompts."""
        return _ImageTokens(change.add_(self.values), self.positions)


@torch.no_grad()
def decode_batch(
    decoder: MaskDecoder,
    image_embedding: Tensor,
    image_pe: Tensor,
    sparse_prompt_embeddings: Tensor,
    dense_prompt_embeddings: Tensor,
    masks: slice,
) -> tuple[Tensor, Tensor]:
    """As ``MaskDecoder.predict_masks``, for some of the four masks.

    Args:
        image_embedding, image_pe: (1, C, h, w).
        sparse_prompt_embeddings, dense_prompt_embeddings: (B, T, C), (B or 1, C, h, w).
        masks: which of the decoder's four (``masks.mask_slice``).

    Returns:
        low_res_logits (B, M, 4h, 4w) and iou_predictions (B, M).
    """
    count = len(sparse_prompt_embeddings)
    at_once = _PROMPTS_IN_CACHE if image_embedding.device.type == "cpu" else count
    # one mask for all prompts, or the expanded embedding of "no mask"
    shared = len(dense_prompt_embeddings) == 1 or dense_prompt_embeddings.stride(0) == 0
    wanted = range(decoder.num_mask_tokens)[masks]
    logits, ious = [], []
    for start in range(0, count, at_once):
        part = slice(start, start + at_once)
        dense = dense_prompt_embeddings[:1] if shared else dense_prompt_embeddings[part]
        tokens = (image_embedding + dense).flatten(2).transpose(1, 2).contiguous()
        image = _ImageTokens(tokens[0] if shared else tokens, image_pe[0].flatten(1).T.contiguous())
        prompt, image = _transform(decoder, sparse_prompt_embeddings[part], image)
        ious.append(decoder.iou_prediction_head(prompt[:, 0])[:, masks])
        kernels = [decoder.output_hypernetworks_mlps[mask](prompt[:, 1 + mask]) for mask in wanted]
        logits.append(_upscale(decoder, image.values, torch.stack(kernels, dim=2), image_embedding.shape[-2:]))
    return torch.cat(logits), torch.cat(ious)


def _transform(decoder: MaskDecoder, sparse: Tensor, image: _ImageTokens) -> tuple[Tensor, _ImageTokens]:
    """The two-way transformer -> prompt tokens (B, 5 + T, C) and image tokens after attending to each other."""
    output_tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    start = torch.cat([output_tokens.expand(len(sparse), -1, -1), sparse], dim=1)
    prompt = start
    for layer in decoder.transformer.layers:
        if layer.skip_first_layer_pe:
            prompt = layer.self_attn(q=prompt, k=prompt, v=prompt)
        else:
            placed = prompt + start
            prompt = prompt + layer.self_attn(q=placed, k=placed, v=prompt)
        prompt = layer.norm1(prompt)
        prompt = layer.norm2(prompt + _tokens_to_image(layer.cross_attn_token_to_image, prompt + start, image))
        prompt = layer.norm3(prompt + layer.mlp(prompt))
        seen = _image_to_tokens(layer.cross_attn_image_to_token, image, prompt + start, prompt)
        image = _ImageTokens(layer.norm4(image.plus(seen).values), image.positions)
    last = decoder.transformer.final_attn_token_to_image
    return decoder.transformer.norm_final_attn(prompt + _tokens_to_image(last, prompt + start, image)), image


def _tokens_to_image(attention: Attention, queries: Tensor, image: _ImageTokens) -> Tensor:
    """Cross-attention from prompt tokens to the image: (B, T, C) queries -> (B, T, C)."""
    per_head = _heads(attention, attention.q_proj(queries)) / _scale(attention)
    weights = image.products(_fold(attention, per_head, attention.k_proj.weight)).softmax(-1)
    seen = image.sums(weights).view(*per_head.shape[:3], -1)  # (B, T, heads, C)
    values = torch.einsum("bthc,hdc->bthd", seen, _kernels(attention, attention.v_proj.weight)).flatten(2)
    return attention.out_proj(values + attention.v_proj.bias)


def _image_to_tokens(attention: Attention, image: _ImageTokens, keys: Tensor, values: Tensor) -> Tensor:
    """Cross-attention from the image to prompt tokens: (B, T, C) keys and values -> (B, N, C)."""
    per_head = _heads(attention, attention.k_proj(keys)) / _scale(attention)
    logits = image.products(_fold(attention, per_head, attention.q_proj.weight))  # (B, T * heads, N)
    from_bias = per_head * attention.q_proj.bias.view(attention.num_heads, -1)
    logits += from_bias.sum(-1).flatten(1)[..., None]
    b, _, n = logits.shape
    weights = logits.view(b, -1, attention.num_heads * n).softmax(1).view(b, -1, n)  # over the prompt's tokens
    out = _fold(attention, _heads(attention, attention.v_proj(values)), attention.out_proj.weight.T)
    return (weights.transpose(1, 2) @ out).add_(attention.out_proj.bias)


def _heads(attention: Attention, projected: Tensor) -> Tensor:
    """(B, T, heads * D) -> (B, T, heads, D)."""
    return projected.view(*projected.shape[:2], attention.num_heads, -1)


def _kernels(attention: Attention, weight: Tensor) -> Tensor:
    """(heads * D, C) -> (heads, D, C)."""
    return weight.reshape(attention.num_heads, -1, weight.shape[1])


def _scale(attention: Attention) -> float:
    return math.sqrt(attention.internal_dim // attention.num_heads)


def _fold(attention: Attention, per_head: Tensor, weight: Tensor) -> Tensor:
    """(B, T, heads, D) times a projection (heads * D, C), head by head -> (B, T * heads, C)."""
    return torch.einsum("bthd,hdc->bthc", per_head, _kernels(attention, weight)).flatten(1, 2)


def _upscale(decoder: MaskDecoder, tokens: Tensor, kernels: Tensor, hw: torch.Size) -> Tensor:
    """Image tokens (B, h * w, C) and a kernel for each mask (B, C / 8, M) -> logits (B, M, 4h, 4w)."""
    first, norm, activation, second, _ = decoder.output_upscaling
    fine = _on_tokens(first, tokens)  # (B, N, 2 * 2, C / 4)
    fine = activation(functional.layer_norm(fine, fine.shape[-1:], norm.weight, norm.bias, norm.eps))
    finest = activation(_on_tokens(second, fine))  # (B, N, 2 * 2, 2 * 2, C / 8)
    logits = finest.view(len(tokens), -1, kernels.shape[1]) @ kernels
    (height, width), masks = hw, kernels.shape[2]
    logits = logits.view(-1, height, width, 2, 2, 2, 2, masks)
    return logits.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(-1, masks, 4 * height, 4 * width)


def _on_tokens(convolution: ConvTranspose2d, tokens: Tensor) -> Tensor:
    """A transposed convolution of size and stride 2 on tokens (..., C) -> (..., 2 * 2, channels), row by row."""
    weight = convolution.weight.permute(0, 2, 3, 1).flatten(1)
    made = (tokens.reshape(-1, tokens.shape[-1]) @ weight).view(*tokens.shape[:-1], 4, -1)
    return made if convolution.bias is None else made.add_(convolution.bias)
