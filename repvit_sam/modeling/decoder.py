"""Image embedding + prompts -> low-resolution logits: SAM's prompt encoder and mask decoder, in canvas coordinates."""

from __future__ import annotations

import torch
from segment_anything.modeling import Sam
from torch import Tensor

from ..prompts import CanvasPrompts
from .batch_decoder import decode_batch


def decode(model: Sam, image_embedding: Tensor, prompts: CanvasPrompts, masks: slice) -> tuple[Tensor, Tensor]:
    """Decode B prompts on one photo: one prompt as ``decode_reference`` does, several with ``batch_decoder``.

    Args:
        image_embedding: (1, 256, S/16, S/16).
        prompts: tensors on the model's device.
        masks: which of the decoder's four masks: ``masks.mask_slice``, or ``masks.ALL_MASKS``.

    Returns:
        low_res_logits (B, C, S/4, S/4) and iou_predictions (B, C).
    """
    embedded = embed_prompts(model, prompts)
    if len(embedded["sparse_prompt_embeddings"]) > 1 and not torch.is_grad_enabled():
        return decode_batch(model.mask_decoder, image_embedding, **embedded, masks=masks)
    low_res_logits, iou_predictions = model.mask_decoder.predict_masks(image_embedding, **embedded)
    return low_res_logits[:, masks], iou_predictions[:, masks]


def decode_reference(model: Sam, image_embedding: Tensor, prompts: CanvasPrompts) -> tuple[Tensor, Tensor]:
    """All four masks by segment_anything's own modules. ``decode``, exports and training are compared with this.

    Returns:
        low_res_logits (B, 4, S/4, S/4) and iou_predictions (B, 4): the single mask at index 0, then the three for an
        ambiguous prompt.
    """
    return model.mask_decoder.predict_masks(image_embedding, **embed_prompts(model, prompts))


def embed_prompts(model: Sam, prompts: CanvasPrompts) -> dict[str, Tensor]:
    """Prompts -> the keyword arguments of SAM's mask decoder."""
    points = None if prompts.point_coords is None else (prompts.point_coords, prompts.point_labels)
    sparse, dense = model.prompt_encoder(points=points, boxes=prompts.boxes, masks=prompts.mask_input)
    return {
        "image_pe": model.prompt_encoder.get_dense_pe(),
        "sparse_prompt_embeddings": sparse,
        "dense_prompt_embeddings": dense,
    }
