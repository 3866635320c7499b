"""Image embedding + prompts -> low-resolution logits by segment_anything's own modules, in canvas coordinates."""

from __future__ import annotations

from segment_anything.modeling import Sam
from torch import Tensor

from ..prompts import CanvasPrompts


def decode_reference(model: Sam, image_embedding: Tensor, prompts: CanvasPrompts) -> tuple[Tensor, Tensor]:
    """All four masks. ``fast_decoder``, exports and training are compared with this.

    Args:
        image_embedding: (1, 256, S/16, S/16).
        prompts: tensors on the model's device.

    Returns:
        low_res_logits (B, 4, S/4, S/4) and iou_predictions (B, 4): the single mask at index 0, then the three for an
        ambiguous prompt.
    """
    sparse, dense = embed_prompts(model, prompts)
    return model.mask_decoder.predict_masks(image_embedding, model.prompt_encoder.get_dense_pe(), sparse, dense)


def embed_prompts(model: Sam, prompts: CanvasPrompts) -> tuple[Tensor, Tensor]:
    """Prompts -> sparse (B, T, 256) and dense embeddings (B, 256, S/16, S/16), as SAM's mask decoder takes them."""
    points = None if prompts.point_coords is None else (prompts.point_coords, prompts.point_labels)
    sparse, dense = model.prompt_encoder(points=points, boxes=prompts.boxes, masks=prompts.mask_input)
    return sparse, dense
