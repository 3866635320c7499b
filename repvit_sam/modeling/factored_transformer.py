"""SAM's two-way transformer without writing down the image's tokens for each prompt.

The transformer changes the N image tokens of a photo only by attention to the few tokens of a prompt, and by layer
norms. Attention adds a weighted sum of T * heads rows to each token, and a norm scales it. So before a norm's weight
and bias the tokens X of a prompt stay

    X = s P + M^T R        s: (N, 1), P: (N, C), M: (r, N), R: (r, C)

through both layers. P is the same for all prompts on a photo, and a box has 56 rows a layer. X is never needed itself:

* a projection of X, as attention asks for, is s times the projection of P, once a photo, plus M^T times that of R;
* tokens have mean zero if P and R have; their variance is a quadratic form of s and M with the inner products of R's
  rows with each other (r x r) and with P (r x N);
* a row of R is D numbers of one head times a constant matrix, so its inner products with P are those D numbers times a
  projection of P, once a photo.

A box takes a sixth of the multiplications of segment_anything's code, and no pass over N x C numbers. Source of the
network: Kirillov et al., Segment Anything (arXiv 2304.02643), appendix A; segment_anything.modeling.transformer. The
order of computing is ours. tests/repvit_sam/modeling/test_fast_decoder.py compares both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from segment_anything.modeling.transformer import Attention, TwoWayTransformer
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Projection:
    """A linear map of tokens: (..., C) @ weight (C, K) + bias (K)."""

    weight: Tensor
    bias: Tensor

    def after(self, norm: nn.LayerNorm | None) -> Projection:
        """The same map of normalised tokens, with the norm's weight and bias made a part of it."""
        if norm is None:
            return self
        return Projection(norm.weight[:, None] * self.weight, self.bias + norm.bias @ self.weight)


@dataclass(frozen=True)
class ImageTokens:
    """The image's tokens as B prompts see them, after a norm without its weight and bias: scale P + mixing^T rows.

    Attributes:
        scale: (B, 1, N)
        mixing: (B, r, N)
        rows: (B, r, C), each of mean zero.
        values: for each layer so far the prompt's values and a 1, (B, heads, R, D + 1): what rows are made of.
    """

    scale: Tensor
    mixing: Tensor
    rows: Tensor
    values: tuple[Tensor, ...]

    def __getitem__(self, prompts: Tensor) -> ImageTokens:
        values = tuple(value[prompts] for value in self.values)
        return ImageTokens(self.scale[prompts], self.mixing[prompts], self.rows[prompts], values)

    def mapped(self, photo: Tensor, rows: Tensor, bias: Tensor, part: slice) -> Tensor:
        """A linear map of some of the N tokens -> (B, n, K).

        Args:
            photo: P mapped, without the bias: (N, K).
            rows: the same of ``rows``: (B, r, K).
            bias: (K)
            part: which tokens.
        """
        of_photo = torch.addcmul(bias, self.scale[..., part].mT, photo[part])
        return of_photo.baddbmm_(self.mixing[..., part].mT, rows)


@dataclass(frozen=True)
class _PhotoForPrompt:
    """A photo's part in attention from a prompt.

    Attributes:
        keys: (heads, D, N), in the first layer with the positions' part.
        values: (heads, N, D)
    """

    keys: Tensor
    values: Tensor


@dataclass(frozen=True)
class _PhotoForImage:
    """A photo's part in attention to a prompt, and in the norm after it.

    Attributes:
        queries: (heads, D, N), in the first layer with the positions' part.
        squares: (1, N) squared length of P after the attention.
        overlaps: (heads, D + 1, N), for each layer so far: twice the inner products of P with what rows are made of.
    """

    queries: Tensor
    squares: Tensor
    overlaps: tuple[Tensor, ...]


@dataclass(frozen=True)
class PhotoTokens:
    """A photo's part in all attention."""

    for_prompt: tuple[_PhotoForPrompt, ...]
    for_image: tuple[_PhotoForImage, ...]


Images = Sequence[ImageTokens | None]  # groups of prompts; None before the first layer


class _ToImage:
    """Attention from a prompt to image tokens.

    Args:
        attention: segment_anything's.
        norm: of the image's tokens before; None in the first layer.
        positions: (N, C)
    """

    def __init__(self, attention: Attention, norm: nn.LayerNorm | None, positions: Tensor) -> None:
        self._attention = attention
        self._first = norm is None
        self._keys = _projection(attention.k_proj).after(norm)
        self._values = _projection(attention.v_proj).after(norm)
        self._position_keys = _channels_by_head(attention, _projection(attention.k_proj), positions.T)

    def photo(self, photo: Tensor) -> _PhotoForPrompt:
        """P (C, N) before the layer -> its part."""
        keys = _channels_by_head(self._attention, self._keys, photo)
        if self._first:
            keys += self._position_keys
        return _PhotoForPrompt(keys, _by_head(self._attention, photo.T @ self._values.weight))

    def __call__(self, prompt: Tensor, images: Images, photo: _PhotoForPrompt) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        queries = _by_head(self._attention, self._attention.q_proj(prompt)) / _scale(self._attention)
        parts = zip(torch.tensor_split(queries, len(images)), images, strict=True)
        seen = [self._seen(part, image, photo) for part, image in parts if image is not None]
        # before the first layer the image is the same for all prompts, which are cheaper together
        by_head = torch.cat(seen) if seen else _seen_in_photo(queries, photo)
        return self._attention.out_proj(by_head.transpose(1, 2).flatten(2) + self._values.bias)

    def _seen(self, queries: Tensor, image: ImageTokens, photo: _PhotoForPrompt) -> Tensor:
        """(B, heads, T, D) -> (B, heads, T, D), without the values' bias."""
        logits = _products(queries, photo.keys, image, self._keys, self._position_keys)
        weights = logits.softmax(-1)  # (B, heads, T, N)
        mixed = (weights.flatten(1, 2) @ image.mixing.mT).view(*weights.shape[:3], -1)
        from_rows = mixed @ _by_head(self._attention, image.rows @ self._values.weight)
        return from_rows + _multiplied(weights, image.scale[:, None]) @ photo.values


class _ToPrompt:
    """Attention from image tokens to a prompt, and the norm after it.

    Args:
        attention: segment_anything's.
        norm: of the image's tokens before; None in the first layer.
        norm_after: of the sum of tokens and attention.
        positions: (N, C)
        made_of: for each earlier layer, what the rows are made of: (heads, D + 1, C).
    """

    def __init__(
        self,
        attention: Attention,
        norm: nn.LayerNorm | None,
        norm_after: nn.LayerNorm,
        positions: Tensor,
        made_of: tuple[Tensor, ...],
    ) -> None:
        self._attention, self._norm, self._norm_after = attention, norm, norm_after
        self._queries = _projection(attention.q_proj).after(norm)
        self._position_queries = _channels_by_head(attention, _projection(attention.q_proj), positions.T)
        out = attention.out_proj.weight.T.reshape(attention.num_heads, -1, attention.embedding_dim)
        bias = attention.out_proj.bias if norm is None else attention.out_proj.bias + norm.bias
        # the weights of a head sum to one, so each head adds its share of the bias with a value of one
        shares = (bias / attention.num_heads).expand(len(out), 1, -1)
        new = _centred(torch.cat([out, shares], dim=1))
        self.made_of = (*(self._carried(rows) for rows in made_of), new)

    def photo(self, photo: Tensor) -> tuple[_PhotoForImage, Tensor]:
        """P (C, N) before the layer -> its part, and P after the layer."""
        queries = _channels_by_head(self._attention, self._queries, photo)
        if self._norm is None:
            queries += self._position_queries
        after = self._carried(photo.T).T.contiguous()
        overlaps = tuple(((2 * rows).flatten(0, 1) @ after).view(*rows.shape[:2], -1) for rows in self.made_of)
        return _PhotoForImage(queries, after.square().sum(0)[None], overlaps), after

    def __call__(self, placed: Tensor, prompt: Tensor, images: Images, photo: _PhotoForImage) -> list[ImageTokens]:
        """Prompt tokens (B, T, C), with their positions and without -> the image's tokens after the norm."""
        attention, groups = self._attention, len(images)
        keys = _by_head(attention, attention.k_proj(placed)) / _scale(attention)
        values = functional.pad(_by_head(attention, attention.v_proj(prompt)), (0, 1), value=1.0)
        parts = zip(torch.tensor_split(keys, groups), torch.tensor_split(values, groups), images, strict=True)
        return [self._after(*part, photo) for part in parts]

    def _after(self, keys: Tensor, values: Tensor, image: ImageTokens | None, photo: _PhotoForImage) -> ImageTokens:
        """keys (B, heads, T, D) and values (B, heads, T, D + 1) of prompts -> the image's tokens after the norm."""
        logits = _products(keys, photo.queries, image, self._queries, self._position_queries)
        heads = self._attention.num_heads
        logits += (keys * self._queries.bias.view(heads, 1, -1)).sum(-1, keepdim=True)
        weights = logits.softmax(2)  # over the prompt's tokens
        if values.shape[2] > values.shape[3]:  # many tokens: as many rows as a head has channels serve as well
            weights = values.mT @ weights
            values = torch.eye(values.shape[3]).to(values).expand(*values.shape[:2], -1, -1)
        mixing = weights.flatten(1, 2)
        rows = (values @ self.made_of[-1]).flatten(1, 2)
        if image is None:
            return self._normalised(None, mixing, rows, (values,), photo)
        mixing = torch.cat([image.mixing, mixing], dim=1)
        rows = torch.cat([self._carried(image.rows), rows], dim=1)
        return self._normalised(image.scale, mixing, rows, (*image.values, values), photo)

    def _carried(self, tokens: Tensor) -> Tensor:
        """Rows, or P, as they are on the other side of the norm before."""
        return _centred(tokens if self._norm is None else tokens * self._norm.weight)

    def _normalised(
        self, scale: Tensor | None, mixing: Tensor, rows: Tensor, values: tuple[Tensor, ...], photo: _PhotoForImage
    ) -> ImageTokens:
        """scale P + mixing^T rows, of mean zero -> the same divided by the standard deviation of each token."""
        parts = [part @ overlap for part, overlap in zip(values, photo.overlaps, strict=True)]
        overlap = torch.cat([part.flatten(1, 2) for part in parts], dim=1)
        squares = photo.squares
        if scale is not None:
            overlap = _multiplied(overlap, scale)
            squares = squares * scale.square()
        form = _multiplied(overlap.baddbmm_(rows @ rows.mT, mixing), mixing).sum(1, keepdim=True)
        variance = ((form + squares) / rows.shape[-1]).clamp(min=0)
        factor = (variance + self._norm_after.eps).rsqrt()
        return ImageTokens(factor if scale is None else scale * factor, mixing * factor, rows, values)


class FactoredTransformer:
    """The transformer, with gradients to the image tokens alone; undefined after a change of its parameters.

    Args:
        transformer: segment_anything's.
        positions: (N, C) encodings of the image tokens' positions.
    """

    def __init__(self, transformer: TwoWayTransformer, positions: Tensor) -> None:
        self._transformer = transformer
        self._to_image, self._to_prompt = [], []
        norm: nn.LayerNorm | None = None
        made_of: tuple[Tensor, ...] = ()
        for layer in transformer.layers:
            self._to_image.append(_ToImage(layer.cross_attn_token_to_image, norm, positions))
            to_prompt = _ToPrompt(layer.cross_attn_image_to_token, norm, layer.norm4, positions, made_of)
            self._to_prompt.append(to_prompt)
            norm, made_of = layer.norm4, to_prompt.made_of
        self.last_norm = norm
        self._to_image.append(_ToImage(transformer.final_attn_token_to_image, norm, positions))

    def photo(self, tokens: Tensor) -> tuple[PhotoTokens, Tensor]:
        """(C, N) -> what all prompts on a photo have in common, and P (C, N) after the last layer."""
        for_prompt, for_image = [], []
        for to_image, to_prompt in zip(self._to_image, self._to_prompt, strict=False):
            for_prompt.append(to_image.photo(tokens))
            part, tokens = to_prompt.photo(tokens)
            for_image.append(part)
        for_prompt.append(self._to_image[-1].photo(tokens))
        return PhotoTokens(tuple(for_prompt), tuple(for_image)), tokens

    def __call__(self, start: Tensor, photo: PhotoTokens, groups: int) -> tuple[Tensor, list[ImageTokens]]:
        """The tokens of B prompts after all layers, and the image's before the weight and bias of ``last_norm``.

        Args:
            start: (B, T, C)
            groups: prompts are split into so many; the image tokens of a group are computed together.

        Returns:
            (B, T, C), and the image tokens of each group.
        """
        prompt = start
        images: Images = [None] * groups
        for number, layer in enumerate(self._transformer.layers):
            if layer.skip_first_layer_pe:
                prompt = layer.self_attn(q=prompt, k=prompt, v=prompt)
            else:
                placed = prompt + start
                prompt = prompt + layer.self_attn(q=placed, k=placed, v=prompt)
            prompt = layer.norm1(prompt)
            prompt = layer.norm2(prompt + self._to_image[number](prompt + start, images, photo.for_prompt[number]))
            prompt = layer.norm3(prompt + layer.mlp(prompt))
            images = after = self._to_prompt[number](prompt + start, prompt, images, photo.for_image[number])
        seen = self._to_image[-1](prompt + start, images, photo.for_prompt[-1])
        return self._transformer.norm_final_attn(prompt + seen), after


def _products(
    per_head: Tensor, photo: Tensor, image: ImageTokens | None, projection: Projection, positions: Tensor
) -> Tensor:
    """Inner products of a prompt's (B, heads, T, D) with projected image tokens and positions -> (B, heads, T, N).

    Args:
        photo: (heads, D, N) projection of P, in the first layer with the positions' part.
        positions: (heads, D, N)
    """
    products = per_head @ photo
    if image is None:
        return products
    products = _multiplied(products, image.scale[:, None])
    products += per_head @ positions
    own = (image.rows @ projection.weight).view(*image.rows.shape[:2], *positions.shape[:2]).transpose(1, 2)
    mixed = (per_head @ own.mT).flatten(1, 2)  # (B, heads * T, r)
    return products.flatten(1, 2).baddbmm_(mixed, image.mixing).view_as(products)


def _multiplied(tensor: Tensor, factor: Tensor) -> Tensor:
    """The product, in the place of a tensor that is not used again; gradients would need what was there."""
    return tensor * factor if torch.is_grad_enabled() and tensor.requires_grad else tensor.mul_(factor)


def _seen_in_photo(queries: Tensor, photo: _PhotoForPrompt) -> Tensor:
    """(B, heads, T, D) -> (B, heads, T, D), without the values' bias."""
    together = queries.transpose(0, 1).flatten(1, 2)  # (heads, B * T, D)
    seen = (together @ photo.keys).softmax(-1) @ photo.values
    return seen.view(queries.shape[1], len(queries), *queries.shape[2:]).transpose(0, 1)


def _projection(linear: nn.Linear) -> Projection:
    return Projection(linear.weight.T, linear.bias)


def _by_head(attention: Attention, projected: Tensor) -> Tensor:
    """(..., T, heads * D) -> (..., heads, T, D)."""
    return projected.view(*projected.shape[:-1], attention.num_heads, -1).transpose(-2, -3)


def _channels_by_head(attention: Attention, projection: Projection, tokens: Tensor) -> Tensor:
    """Tokens (C, N), projected without the bias -> (heads, D, N)."""
    return (projection.weight.T @ tokens).view(attention.num_heads, -1, tokens.shape[1])


def _scale(attention: Attention) -> float:
    return math.sqrt(attention.internal_dim // attention.num_heads)


def _centred(tokens: Tensor) -> Tensor:
    return tokens - tokens.mean(-1, keepdim=True)
