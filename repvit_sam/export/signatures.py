"""Inputs and outputs of exported files: names, shapes, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

from ..canvas import EMBEDDING_STRIDE, LOGITS_STRIDE, PIXEL_MEAN, PIXEL_STD

POINT_LABELS = {
    "-1": "padding",
    "0": "background point",
    "1": "object point",
    "2": "box, top left corner",
    "3": "box, bottom right corner",
}


@dataclass(frozen=True)
class TensorSpec:
    """One input or output."""

    name: str
    shape: str
    meaning: str


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of one file.

    Attributes:
        single_mask: whether a decoder gives one mask for each prompt instead of four.
        prompt_slots: how many points a decoder takes in one call; 0 where the number is open.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    single_mask: bool = False
    prompt_slots: int = 0


def encoder_signature(canvas: int, inputs: tuple[TensorSpec, ...], output: str) -> Signature:
    """An encoder.

    Args:
        canvas: side of the canvas in pixels.
        inputs: ``canvas_spec``, ``picture_specs`` or ``photo_spec``.
        output: name of the image embedding.
    """
    grid, batch = canvas // EMBEDDING_STRIDE, "B" if inputs[0].shape.startswith("(B") else "1"
    embedding = TensorSpec(output, f"({batch}, 256, {grid}, {grid})", "image embedding, as the decoder takes it")
    return Signature(inputs, (embedding,))


def canvas_spec(canvas: int, name: str, batch: str) -> TensorSpec:
    """The normalised canvas; ``batch`` is "B" for any number of them, or "1"."""
    return TensorSpec(
        name,
        f"({batch}, 3, {canvas}, {canvas})",
        f"RGB, long side resized to {canvas}, minus mean {PIXEL_MEAN}, divided by std {PIXEL_STD}, then padded "
        "with zeros right and below",
    )


def picture_specs(canvas: int) -> tuple[TensorSpec, ...]:
    """Pixels of the whole canvas, and which part of them is the photo."""
    return (
        TensorSpec(
            "image",
            f"(1, 3, {canvas}, {canvas})",
            f"RGB, 0..255: the photo with its long side resized to {canvas}, at the top left; anything elsewhere",
        ),
        TensorSpec("content_hw", "(2,)", "height and width of the photo on the canvas, in pixels"),
    )


def photo_spec(canvas: int) -> TensorSpec:
    """Pixels of the photo alone, of any size up to the canvas."""
    return TensorSpec("input_image", "(H, W, 3)", f"RGB, 0..255: the photo with its long side resized to {canvas}")


def backbone_signature(side: int, classes: int) -> Signature:
    """A classifier of pictures, as its authors export it: the network sees pixels as they are."""
    image = TensorSpec("image", f"(1, 3, {side}, {side})", "RGB, 0..255, not normalised")
    return Signature((image,), (TensorSpec("logits", f"(1, {classes})", "before softmax"),))


def coreml_decoder_signature(canvas: int, upscaled: bool, slots: int) -> Signature:
    """A Core ML decoder: one prompt for each call, with a fixed number of slots for points."""
    inputs = _decoder_inputs(canvas, "image_embedding", "1", str(slots), "low_res_logits")
    outputs = _decoder_outputs(canvas, "1", "low_res_logits", 4)
    if upscaled:
        outputs += (TensorSpec("logits", f"(1, 4, {canvas}, {canvas})", "low_res_logits on the canvas"),)
    return Signature(inputs, outputs, prompt_slots=slots)


def onnx_decoder_signature(canvas: int, single_mask: bool) -> Signature:
    """An ONNX decoder: any number of prompts and points, with the names of segment_anything's own export."""
    inputs = _decoder_inputs(canvas, "image_embeddings", "B", "N", "low_res_masks")
    low_res_masks, ious = _decoder_outputs(canvas, "B", "low_res_masks", 1 if single_mask else 4)
    photo_size = TensorSpec("orig_im_size", "(2,)", "height and width of the photo in pixels, for masks")
    masks = TensorSpec("masks", "(B, C, height, width)", "low_res_masks at the size of the photo, logits")
    return Signature((*inputs, photo_size), (masks, ious, low_res_masks), single_mask=single_mask)


def _decoder_inputs(canvas: int, embedding: str, prompts: str, points: str, logits: str) -> tuple[TensorSpec, ...]:
    grid, low = canvas // EMBEDDING_STRIDE, canvas // LOGITS_STRIDE
    mask = f"one mask of an earlier {logits}; zeros where there is none"
    return (
        TensorSpec(embedding, f"(1, 256, {grid}, {grid})", "of the encoder"),
        TensorSpec("point_coords", f"({prompts}, {points}, 2)", f"x, y in pixels of the canvas ({canvas})"),
        TensorSpec("point_labels", f"({prompts}, {points})", "; ".join(f"{k} {v}" for k, v in POINT_LABELS.items())),
        TensorSpec("mask_input", f"({prompts}, 1, {low}, {low})", mask),
        TensorSpec("has_mask_input", "(1,)", "1 where mask_input is to be used, else 0"),
    )


def _decoder_outputs(canvas: int, prompts: str, logits: str, masks: int) -> tuple[TensorSpec, ...]:
    low = canvas // LOGITS_STRIDE
    order = "the single mask, then the three for an ambiguous prompt" if masks == 4 else "chosen by SAM's rule"
    return (
        TensorSpec(logits, f"({prompts}, {masks}, {low}, {low})", f"logits, object above 0: {order}"),
        TensorSpec("iou_predictions", f"({prompts}, {masks})", "how good the model thinks each mask, 0..1"),
    )
