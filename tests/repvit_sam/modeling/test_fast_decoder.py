"""The fast decoder gives what segment_anything gives: logits within 5e-4 (they go up to 50), no pixel apart."""

from dataclasses import fields

import pytest
import torch
from segment_anything.modeling import PromptEncoder, Sam

from repvit_sam.modeling.decoder import decode_reference
from repvit_sam.modeling.fast_decoder import FastDecoder
from repvit_sam.prompts import CanvasPrompts

BOXES = torch.tensor(
    [[300.0, 20, 730, 480], [10, 10, 60, 90], [0, 0, 1023, 680], [500, 300, 510, 312], [90, 80, 200, 600]]
)
POINTS = torch.tensor([[[100.0, 100], [400, 300]]]).repeat(5, 1, 1) + torch.arange(5)[:, None, None] * 60
LABELS = torch.tensor([[1, 0], [1, 1], [1, -1], [0, 1], [1, 0]], dtype=torch.int)


def mask_input():
    torch.manual_seed(1)
    return torch.randn(5, 1, 256, 256) * 5


PROMPTS = {
    "boxes": CanvasPrompts(None, None, BOXES, None),
    "points": CanvasPrompts(POINTS, LABELS, None, None),
    "many points": CanvasPrompts(POINTS.repeat(1, 10, 1) + torch.arange(20)[:, None] * 11, LABELS.repeat(1, 10)),
    "points, boxes and masks": CanvasPrompts(POINTS, LABELS, BOXES, mask_input()),
    "boxes and one mask for all": CanvasPrompts(None, None, BOXES, mask_input()[:1]),
    "masks alone": CanvasPrompts(mask_input=mask_input()),
}
SINGLE, THREE = slice(0, 1), slice(1, None)
each_prompt = pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)


@pytest.fixture(scope="module")
def decoder(model):
    with torch.no_grad():
        return FastDecoder(model)


def first_of(prompts):
    parts = (getattr(prompts, field.name) for field in fields(prompts))
    return CanvasPrompts(*(None if part is None else part[:1] for part in parts))


def assert_equals_segment_anything(decoder, model, embedding, prompts, chosen):
    with torch.no_grad():
        expected, expected_ious = decode_reference(model, embedding, prompts)
        logits, ious = decoder.decode(embedding, prompts, chosen)
    torch.testing.assert_close(logits, expected[:, chosen], atol=5e-4, rtol=0)
    torch.testing.assert_close(ious, expected_ious[:, chosen], atol=1e-5, rtol=0)
    # a pixel whose logit is nearly zero may fall on either side
    assert ((logits > 0) != (expected[:, chosen] > 0)).float().mean() < 1e-4


@pytest.mark.parametrize("chosen", [SINGLE, THREE], ids=["single mask", "three masks"])
@each_prompt
def test_a_batch_equals_segment_anything(decoder, model, coffee_encoded, prompts, chosen):
    assert_equals_segment_anything(decoder, model, coffee_encoded.image_embedding, prompts, chosen)


@each_prompt
def test_one_prompt_equals_segment_anything(decoder, model, coffee_encoded, prompts):
    assert_equals_segment_anything(decoder, model, coffee_encoded.image_embedding, first_of(prompts), slice(0, 4))


@pytest.mark.parametrize("together", [2, 3, 5])
@each_prompt
def test_prompts_may_be_computed_together_as_on_a_gpu(model, coffee_encoded, prompts, together):
    with torch.no_grad():
        decoder = FastDecoder(model, together=together)
    assert_equals_segment_anything(decoder, model, coffee_encoded.image_embedding, prompts, THREE)


def test_of_prompts_computed_together_only_confident_masks_are_computed(model, decoder, coffee_encoded):
    embedding, prompts = coffee_encoded.image_embedding, PROMPTS["points"]
    with torch.no_grad():
        every, ious = decoder.decode(embedding, prompts, THREE)
        min_iou = ious.flatten().sort().values[5].item()
        logits, _ = FastDecoder(model, together=5).decode_confident(embedding, prompts, THREE, min_iou)
    assert 0 < len(logits) < ious.numel()
    torch.testing.assert_close(logits, every[ious > min_iou], atol=5e-4, rtol=0)


def test_no_prompts_give_no_masks(decoder, coffee_encoded):
    none = CanvasPrompts(boxes=torch.zeros(0, 4))
    with torch.no_grad():
        logits, ious = decoder.decode(coffee_encoded.image_embedding, none, THREE)
        confident, _ = decoder.decode_confident(coffee_encoded.image_embedding, none, THREE, 0.5)
    assert (logits.shape, ious.shape, confident.shape) == ((0, 3, 256, 256), (0, 3), (0, 256, 256))


def test_autocast_around_a_prediction_changes_nothing(decoder, coffee_encoded):
    embedding = coffee_encoded.image_embedding
    with torch.no_grad():
        expected, _ = decoder.decode(embedding, PROMPTS["points"], THREE)
        with torch.autocast("cpu", torch.bfloat16):
            logits, _ = decoder.decode(embedding, PROMPTS["points"], THREE)
    assert torch.equal(logits, expected)


def test_a_photo_is_forgotten_with_its_embedding(model):
    with torch.no_grad():
        decoder = FastDecoder(model)
        embedding = torch.randn(1, 256, 64, 64)
        decoder.decode(embedding, PROMPTS["boxes"], SINGLE)
    assert len(decoder._photos) == 1
    del embedding
    assert not decoder._photos


def test_embeddings_of_two_photos_are_refused(decoder):
    with pytest.raises(ValueError, match="of one photo"), torch.no_grad():
        decoder.decode(torch.randn(2, 256, 64, 64), PROMPTS["boxes"], SINGLE)


def test_photos_that_come_and_go_are_not_mixed_up(decoder, model, coffee_encoded):
    embeddings = [coffee_encoded.image_embedding * factor for factor in (1.0, 0.5, -1.0, 2.0, 0.1, 1.5)]
    for embedding in (*embeddings, *embeddings[::-1]):
        assert_equals_segment_anything(decoder, model, embedding, first_of(PROMPTS["points"]), THREE)


@pytest.mark.parametrize("min_iou", [-9.0, 0.5, 9.0])
def test_only_confident_masks_are_computed(decoder, coffee_encoded, min_iou):
    embedding, prompts = coffee_encoded.image_embedding, PROMPTS["boxes"]
    with torch.no_grad():
        every, ious = decoder.decode(embedding, prompts, THREE)
        logits, all_ious = decoder.decode_confident(embedding, prompts, THREE, min_iou)
    assert torch.equal(all_ious, ious)
    torch.testing.assert_close(logits, every[ious > min_iou], atol=1e-5, rtol=0)


def test_bfloat16_gives_nearly_the_same_masks(decoder, model, coffee_encoded):
    with torch.no_grad():
        expected, ious = decoder.decode(coffee_encoded.image_embedding, PROMPTS["boxes"], SINGLE)
        fast = FastDecoder(model, torch.bfloat16)
        logits, fast_ious = fast.decode(coffee_encoded.image_embedding, PROMPTS["boxes"], SINGLE)
    assert logits.dtype == torch.float32
    common, either = ((logits > 0) & (expected > 0)).sum(), ((logits > 0) | (expected > 0)).sum()
    assert common / either > 0.98
    torch.testing.assert_close(fast_ious, ious, atol=0.03, rtol=0)


def test_an_embedding_may_be_of_another_shape_than_square(model):
    """The decoder itself asks for no square: 16 x 24 tokens."""
    prompt_encoder = PromptEncoder(256, (16, 24), (256, 384), 16)
    prompt_encoder.load_state_dict(model.prompt_encoder.state_dict())
    wide = Sam(model.image_encoder, prompt_encoder, model.mask_decoder)
    torch.manual_seed(0)
    with torch.no_grad():
        embedding, prompts = torch.randn(1, 256, 16, 24), CanvasPrompts(boxes=BOXES / 4)
        expected, _ = decode_reference(wide, embedding, prompts)
        logits, _ = FastDecoder(wide).decode(embedding, prompts, slice(0, 4))
    torch.testing.assert_close(logits, expected, atol=5e-4, rtol=1e-4)
