"""SAM's decoder with all of its tokens, and prompts made from masks on the grid of its logits."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torchvision.ops import masks_to_boxes

from repvit_sam.canvas import LOGITS_STRIDE
from repvit_sam.masks import ALL_MASKS
from repvit_sam.modeling.decoder import embed_prompts
from repvit_sam.modeling.fast_decoder import FastDecoder
from repvit_sam.modeling.sam import SamModel
from repvit_sam.prompts import CanvasPrompts

from .losses import at_least_float32

SINGLE_TOKEN = 0  # of the four mask tokens: the mask of an unambiguous prompt; 1 to 3 are the three guesses


def on_objects(points: Tensor) -> CanvasPrompts:
    """One point (K, 2) on each of K objects."""
    return with_points(CanvasPrompts(), points, torch.ones(len(points), device=points.device).int())


def with_points(prompts: CanvasPrompts, points: Tensor, labels: Tensor) -> CanvasPrompts:
    """K prompts with one more point (K, 2) and label (K,) each."""
    points, labels = points[:, None], labels[:, None]
    if prompts.point_coords is not None:
        points = torch.cat([prompts.point_coords, points], 1)
        labels = torch.cat([prompts.point_labels, labels], 1)
    return replace(prompts, point_coords=points, point_labels=labels)


def mirrored(prompts: CanvasPrompts, canvas_size: int) -> CanvasPrompts:
    """The same prompts on the mirrored canvas, left for right."""
    points, boxes, logits = prompts.point_coords, prompts.boxes, prompts.mask_input
    if points is not None:
        points = torch.stack([canvas_size - points[..., 0], points[..., 1]], dim=-1)
    if boxes is not None:
        left, top, right, bottom = boxes.unbind(1)
        boxes = torch.stack([canvas_size - right, top, canvas_size - left, bottom], dim=1)
    return CanvasPrompts(points, prompts.point_labels, boxes, None if logits is None else logits.flip(-1))


def decode_all_tokens(model: SamModel, image_embedding: Tensor, prompts: CanvasPrompts) -> tuple[Tensor, Tensor]:
    """(1, 256, S/16, S/16) and K prompts -> logits (K, 4, S/4, S/4) float32, predicted IoU (K, 4)."""
    # coordinates and their encoding need more digits than bf16 has
    with torch.autocast(image_embedding.device.type, enabled=False):
        sparse, dense = embed_prompts(model, prompts)
        image_pe = model.prompt_encoder.get_dense_pe()
    logits, iou_predictions = model.mask_decoder.predict_masks(image_embedding, image_pe, sparse, dense)
    return at_least_float32(logits), at_least_float32(iou_predictions)


class AllTokensDecoder:
    """``decode_all_tokens`` with one model; where its decoder is frozen, on a CPU, in half of the time.

    Gradients go to the image embedding on either way. On a GPU segment_anything's code is taken, which can compute in
    bf16 there; no other was measured.
    """

    def __init__(self, model: SamModel) -> None:
        self._model = model
        self._fast: FastDecoder | None = None  # made when it is used: a run that goes on loads its weights before

    def __call__(self, image_embedding: Tensor, prompts: CanvasPrompts) -> tuple[Tensor, Tensor]:
        """(1, 256, S/16, S/16) and K prompts -> logits (K, 4, S/4, S/4) float32, predicted IoU (K, 4)."""
        if image_embedding.device.type != "cpu" or not self._frozen():
            return decode_all_tokens(self._model, image_embedding, prompts)
        self._fast = self._fast or FastDecoder(self._model)
        return self._fast.decode(image_embedding.float(), prompts, ALL_MASKS)

    def _frozen(self) -> bool:
        parts = (self._model.prompt_encoder, self._model.mask_decoder)
        return not any(weight.requires_grad for part in parts for weight in part.parameters())


def boxes_of(masks: Tensor) -> Tensor:
    """(K, S/4, S/4) bool, none empty -> (K, 4) XYXY in canvas pixels, around whole cells."""
    boxes = masks_to_boxes(masks)
    boxes[:, 2:] += 1  # torchvision's boxes end at the first pixel of the last cell
    return boxes * LOGITS_STRIDE


def noised(boxes: Tensor, canvas_size: int, generator: torch.Generator) -> Tensor:
    """Corners moved by 10 % of the side, at most 20 pixels (SAM, appendix A: normal noise), kept on the canvas."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    noise = torch.randn(boxes.shape, generator=generator).to(boxes.device) * sides * 0.1
    moved = (boxes + noise.clamp(-20, 20)).clamp(0, canvas_size)
    return torch.cat([torch.minimum(moved[:, :2], moved[:, 2:]), torch.maximum(moved[:, :2], moved[:, 2:])], dim=1)


def point_in(regions: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A cell of each (K, S/4, S/4) bool region at random.

    Returns:
        (K, 2) x and y of its centre in canvas pixels, and (K,) bool, whether the region had any.
    """
    count, side = regions.shape[0], regions.shape[-1]
    flat = regions.flatten(1).cpu()  # drawn on the CPU, so that every device draws the same
    anywhere = flat.any(1)
    weights = torch.where(anywhere[:, None], flat, torch.ones_like(flat)).float()
    cells = torch.multinomial(weights, 1, generator=generator)[:, 0] if count else torch.zeros(0, dtype=torch.long)
    points = (torch.stack([cells % side, cells // side], dim=1) + 0.5) * LOGITS_STRIDE
    return points.to(regions.device), anywhere.to(regions.device)


def value_at(masks: Tensor, points: Tensor) -> Tensor:
    """(K, S/4, S/4) bool and (K, 2) canvas pixels -> (K,) int, 1 on the mask."""
    cells = (points / LOGITS_STRIDE).long()
    return masks[torch.arange(len(masks), device=masks.device), cells[:, 1], cells[:, 0]].int()


def no_loss(student: SamModel) -> Tensor:
    """Zero, with a gradient of zero for every weight that learns: for a photo without objects to prompt for."""
    learning = [weight.flatten()[0] for weight in student.parameters() if weight.requires_grad]
    return torch.stack(learning).sum() * 0
