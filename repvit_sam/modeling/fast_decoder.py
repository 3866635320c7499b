"""SAM's prompt encoder and mask decoder without the work that segment_anything's repeats.

segment_anything copies the 4096 tokens of the image for each prompt, and projects, normalises and upscales every copy.
Here the same parameters give the same logits up to rounding (5e-4; logits go up to 50) in a fraction of the time,
because

* the transformer keeps the image's tokens in factors (factored_transformer.py). What depends on the photo alone is
  computed once and kept as long as the image embedding is, for the last few photos;
* the first upscaling convolution is one more linear map of those factors; both, whose stride is their size, are matrix
  products on tokens;
* only the masks that the caller wants are computed: not those of another kind, nor those that are rated too low;
* on a CPU, prompts and rows are taken few at a time, so that what is computed stays in its cache.

Source of the network: Kirillov et al., Segment Anything (arXiv 2304.02643), appendix A; segment_anything.modeling.
benchmarks/clicks.py and benchmarks/prompt_count.py measure it; tests/repvit_sam/modeling/test_fast_decoder.py compares
it with segment_anything's.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from segment_anything.modeling import MaskDecoder, Sam
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import ConvTranspose2d, functional

from ..prompts import CanvasPrompts
from .decoder import embed_prompts
from .factored_transformer import FactoredTransformer, ImageTokens, PhotoTokens, Projection

_PROMPTS_AT_ONCE = 16  # on a CPU; 2 MB each
_ROWS_AT_ONCE = 32  # of the image's tokens, while a CPU upscales them
_PHOTOS_KEPT = 4  # 28 MB each


@dataclass(frozen=True)
class _Photo:
    """What all prompts on a photo have in common.

    Attributes:
        tokens: the photo's part in the transformer.
        upscaled: (N, 2 * 2 * C / 4) its part in the first upscaling convolution.
    """

    tokens: PhotoTokens
    upscaled: Tensor


@dataclass(frozen=True)
class _Decoded:
    """A few prompts after the transformer.

    Attributes:
        iou_predictions: (B, M)
        photo, image: the image's tokens as these prompts see them.
        kernels: (B, C / 8, M), one for each mask.
    """

    iou_predictions: Tensor
    photo: _Photo
    image: ImageTokens
    kernels: Tensor

    def __getitem__(self, chosen: tuple[Tensor, Tensor]) -> _Decoded:
        """Of some prompts (B) some masks (M)."""
        prompts, masks = chosen
        ious, kernels = self.iou_predictions[prompts][:, masks], self.kernels[prompts][..., masks]
        return _Decoded(ious, self.photo, self.image[prompts], kernels)


class FastDecoder:
    """Decodes prompts with a model's parameters; make a new one when they change.

    Gradients, where the caller records them, go to the image embedding and to nothing else.

    Args:
        model: its prompt encoder and mask decoder are used, with SAM's transformer of two layers.
        dtype: in which masks are upscaled; the transformer is float32. Masks of bfloat16 agree with those of float32
            to a mean IoU of 0.99.
        together: prompts whose image tokens are computed together; None is one on a CPU, where they stay in its cache,
            and all on other devices.
    """

    def __init__(self, model: Sam, dtype: torch.dtype = torch.float32, together: int | None = None) -> None:
        self._model = model
        self._dtype = dtype
        self._together = together
        self._decoder: MaskDecoder = model.mask_decoder
        with _float32(self._decoder.iou_token.weight):
            positions = model.prompt_encoder.get_dense_pe()[0].flatten(1).T.contiguous()  # (N, C)
            self._transformer = FactoredTransformer(self._decoder.transformer, positions)
            first = _first_upscaling(self._decoder.output_upscaling[0])
            self._first_upscaling = first.after(self._transformer.last_norm)
        self._photos: tuple[tuple[weakref.ref[Tensor], _Photo], ...] = ()

    def decode(self, image_embedding: Tensor, prompts: CanvasPrompts, masks: slice) -> tuple[Tensor, Tensor]:
        """Decode B prompts on one photo.

        Args:
            image_embedding: (1, 256, S/16, S/16); not to be changed in place later.
            prompts: tensors on the model's device.
            masks: which of the decoder's four masks: ``masks.mask_slice``, or ``masks.ALL_MASKS``.

        Returns:
            low_res_logits (B, M, S/4, S/4) and iou_predictions (B, M).
        """
        with _float32(image_embedding):
            no_logits, no_ious = self._nothing(image_embedding, masks)
            logits, ious = [no_logits], [no_ious]
            for few in self._decoded(image_embedding, prompts, masks):
                logits.append(self._logits(few))
                ious.append(few.iou_predictions)
            return torch.cat(logits), torch.cat(ious)

    def decode_confident(
        self, image_embedding: Tensor, prompts: CanvasPrompts, masks: slice, min_iou: float
    ) -> tuple[Tensor, Tensor]:
        """As ``decode``, with logits only for masks whose predicted IoU is above ``min_iou``.

        Returns:
            low_res_logits (K, S/4, S/4) of the masks at ``(iou_predictions > min_iou).nonzero()``, in this order, and
            iou_predictions (B, M) of all.
        """
        with _float32(image_embedding):
            no_logits, no_ious = self._nothing(image_embedding, masks)
            logits, ious = [no_logits.flatten(0, 1)], [no_ious]
            for few in self._decoded(image_embedding, prompts, masks):
                wanted = few.iou_predictions > min_iou
                if wanted.any():
                    rows, columns = wanted.any(1), wanted.any(0)
                    logits.append(self._logits(few[rows, columns])[wanted[rows][:, columns]])
                ious.append(few.iou_predictions)
            return torch.cat(logits), torch.cat(ious)

    def _nothing(self, image_embedding: Tensor, masks: slice) -> tuple[Tensor, Tensor]:
        """Logits and predicted IoU of no prompt, so that a call without prompts gives empty tensors."""
        count = len(range(self._decoder.num_mask_tokens)[masks])
        side = self._model.prompt_encoder.mask_input_size
        return image_embedding.new_zeros(0, count, *side), image_embedding.new_zeros(0, count)

    def _decoded(self, image_embedding: Tensor, prompts: CanvasPrompts, masks: slice) -> Iterator[_Decoded]:
        """A few prompts at a time."""
        if len(image_embedding) != 1:
            raise ValueError(f"image_embedding must be of one photo, (1, C, h, w), got {tuple(image_embedding.shape)}")
        sparse, dense = embed_prompts(self._model, prompts)
        output_tokens = torch.cat([self._decoder.iou_token.weight, self._decoder.mask_tokens.weight])
        start = torch.cat([output_tokens.expand(len(sparse), -1, -1), sparse], dim=1)
        if not len(start):
            return
        if prompts.mask_input is None:
            photo = self._kept_photo(image_embedding, dense[:1])
        elif len(prompts.mask_input) == 1:
            photo = self._photo(image_embedding, dense[:1])
        else:  # each prompt sees a photo of its own
            for row in range(len(start)):
                one = slice(row, row + 1)
                yield from self._on_photo(start[one], self._photo(image_embedding, dense[one]), masks)
            return
        for few in torch.split(start, _PROMPTS_AT_ONCE if start.device.type == "cpu" else len(start)):
            yield from self._on_photo(few, photo, masks)

    def _on_photo(self, start: Tensor, photo: _Photo, masks: slice) -> Iterator[_Decoded]:
        """(B, T, C) prompts on one photo."""
        together = self._together or (1 if start.device.type == "cpu" else len(start))
        groups = -(-len(start) // together)
        prompt, images = self._transformer(start, photo.tokens, groups)
        wanted = range(self._decoder.num_mask_tokens)[masks]
        networks = self._decoder.output_hypernetworks_mlps
        kernels = torch.stack([networks[mask](prompt[:, 1 + mask]) for mask in wanted], dim=2)
        ious = self._decoder.iou_prediction_head(prompt[:, 0])[:, masks]
        parts = (torch.tensor_split(ious, groups), images, torch.tensor_split(kernels, groups))
        for few_ious, image, few_kernels in zip(*parts, strict=True):
            yield _Decoded(few_ious, photo, image, few_kernels)

    def _kept_photo(self, image_embedding: Tensor, no_mask: Tensor) -> _Photo:
        with_gradients = torch.is_grad_enabled() and image_embedding.requires_grad
        for reference, photo in self._photos:
            if reference() is image_embedding and photo.upscaled.requires_grad == with_gradients:
                return photo
        photo = self._photo(image_embedding, no_mask)
        self._photos = ((weakref.ref(image_embedding, self._forget), photo), *self._photos[: _PHOTOS_KEPT - 1])
        return photo

    def _forget(self, gone: weakref.ref[Tensor]) -> None:
        self._photos = tuple(pair for pair in self._photos if pair[0] is not gone)

    def _photo(self, image_embedding: Tensor, dense: Tensor) -> _Photo:
        tokens, last = self._transformer.photo((image_embedding + dense).flatten(2)[0])
        return _Photo(tokens, last.T @ self._first_upscaling.weight)

    def _logits(self, decoded: _Decoded) -> Tensor:
        """-> (B, M, 4h, 4w)."""
        _, norm, activation, second, _ = self._decoder.output_upscaling
        photo, image, kernels = decoded.photo.upscaled, decoded.image, decoded.kernels.to(self._dtype)
        height, width = self._model.prompt_encoder.image_embedding_size
        count, channels, masks = kernels.shape
        logits = photo.new_empty(count, masks, height, 2, 2, width, 2, 2)
        rows = image.rows @ self._first_upscaling.weight
        at_once = _ROWS_AT_ONCE if photo.device.type == "cpu" else height
        for top in range(0, height, at_once):
            part = slice(top * width, (top + at_once) * width)
            fine = image.mapped(photo, rows, self._first_upscaling.bias, part).to(self._dtype)
            fine = activation(_layer_norm(norm, fine.view(count, -1, 4, 2 * channels)))  # (B, n, 2 * 2, C / 4)
            finest = activation(_on_tokens(second, fine))  # (B, n, 2 * 2, 2 * 2, C / 8)
            finest = finest.view(count, -1, channels)
            for mask in range(masks):  # BLAS is slow at products of a few columns, but fast at those of one
                made = (finest @ kernels[..., mask : mask + 1]).view(count, -1, width, 2, 2, 2, 2)
                logits[:, mask, top : top + at_once] = made.permute(0, 1, 3, 5, 2, 4, 6)
        return logits.view(count, masks, 4 * height, 4 * width)


def _first_upscaling(convolution: ConvTranspose2d) -> Projection:
    """A transposed convolution of size and stride 2 as a map of tokens: C -> 2 * 2 * channels, row by row."""
    assert convolution.bias is not None  # segment_anything's have one
    return Projection(convolution.weight.permute(0, 2, 3, 1).flatten(1), convolution.bias.repeat(4))


def _on_tokens(convolution: ConvTranspose2d, tokens: Tensor) -> Tensor:
    """A transposed convolution of size and stride 2 on tokens (..., C) -> (..., 2 * 2, channels), row by row."""
    weight = convolution.weight.permute(0, 2, 3, 1).flatten(1).to(tokens.dtype)
    assert convolution.bias is not None
    made = (tokens.reshape(-1, tokens.shape[-1]) @ weight).view(*tokens.shape[:-1], 4, convolution.out_channels)
    return made.add_(convolution.bias)


def _float32(tensor: Tensor) -> torch.autocast:
    """Whatever autocast a caller may be in: the variance of tokens, and coordinates, need float32."""
    return torch.autocast(tensor.device.type, enabled=False)


def _layer_norm(norm: LayerNorm2d | nn.LayerNorm, tokens: Tensor) -> Tensor:
    """Over the channels, which are last: (..., C) -> (..., C)."""
    weight, bias = norm.weight.to(tokens.dtype), norm.bias.to(tokens.dtype)
    return functional.layer_norm(tokens, tokens.shape[-1:], weight, bias, norm.eps)
