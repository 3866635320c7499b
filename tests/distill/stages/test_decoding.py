import pytest
import torch

from repvit_sam.distill.stages.decoding import (
    AllTokensDecoder,
    boxes_of,
    decode_all_tokens,
    noised,
    point_in,
    value_at,
    with_points,
)
from repvit_sam.modeling.fast_decoder import FastDecoder
from repvit_sam.prompts import CanvasPrompts


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_all_tokens_are_the_decoders_single_mask_and_its_three(model, coffee_encoded):
    points = torch.tensor([[[500.0, 340.0]], [[100.0, 100.0]]])
    labels = torch.ones(2, 1, dtype=torch.int)
    with torch.no_grad():
        prompts = CanvasPrompts(points, labels)
        logits, ious = decode_all_tokens(model, coffee_encoded.image_embedding, prompts)
        expected, expected_ious = FastDecoder(model).decode(coffee_encoded.image_embedding, prompts, slice(0, 4))
    torch.testing.assert_close(logits, expected, atol=5e-4, rtol=0)
    torch.testing.assert_close(ious, expected_ious, atol=1e-5, rtol=0)


def test_where_a_gradient_is_wanted_there_is_one(model, coffee_encoded):
    embedding = coffee_encoded.image_embedding.clone().requires_grad_()
    logits, _ = decode_all_tokens(model, embedding, CanvasPrompts(boxes=torch.tensor([[300.0, 20, 730, 480]])))
    logits.sum().backward()
    assert embedding.grad is not None
    assert embedding.grad.abs().max() > 0


@pytest.fixture
def frozen(model):
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    yield model.requires_grad_(False)
    for weight in learning:
        weight.requires_grad_()


def gradient(decode, image_embedding, prompts, before=None):
    """Of a loss of logits and predicted IoU to the embedding, through two rounds on one photo as in training."""
    embedding = image_embedding.clone().requires_grad_()
    if before:
        before(embedding)
    loss = embedding.new_zeros(())
    for _ in range(2):
        logits, ious = decode(embedding, prompts)
        loss = loss + logits.sigmoid().mean() + ious.mean()
        prompts = with_points(prompts, torch.full((2, 2), 400.0), torch.ones(2).int())
    loss.backward()
    return embedding.grad


@pytest.mark.parametrize("boxes", [None, [[300.0, 20, 730, 480], [10, 10, 90, 200]]], ids=["points", "boxes"])
def test_a_frozen_decoder_is_differentiated_as_segment_anythings(frozen, coffee_encoded, boxes):
    points = torch.tensor([[500.0, 340.0], [100.0, 100.0]])
    prompts = CanvasPrompts(boxes=boxes and torch.tensor(boxes))
    prompts = prompts if boxes else with_points(prompts, points, torch.ones(2).int())
    photo = coffee_encoded.image_embedding
    expected = gradient(lambda *call: decode_all_tokens(frozen, *call), photo, prompts)
    found = gradient(AllTokensDecoder(frozen), photo, prompts)
    torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=0)


def test_a_photo_that_was_decoded_without_gradients_has_them_later(frozen, coffee_encoded):
    prompts = CanvasPrompts(torch.tensor([[[500.0, 340.0]], [[100.0, 100.0]]]), torch.ones(2, 1).int())
    decode = AllTokensDecoder(frozen)

    def look(embedding):
        with torch.no_grad():
            decode(embedding, prompts)

    found = gradient(decode, coffee_encoded.image_embedding, prompts, before=look)
    assert found.abs().max() > 0


def test_a_decoder_that_learns_gets_gradients(model, coffee_encoded):
    learning = model.mask_decoder.iou_token.weight.requires_grad_()
    _, ious = AllTokensDecoder(model)(
        coffee_encoded.image_embedding, CanvasPrompts(boxes=torch.tensor([[300.0, 20, 730, 480]]))
    )
    (slope,) = torch.autograd.grad(ious.sum(), learning)
    assert slope.abs().max() > 0


def test_boxes_hold_their_masks_whole():
    masks = torch.zeros(2, 16, 16, dtype=torch.bool)
    masks[0, 2:5, 3:10] = True
    masks[1, 15, 15] = True
    assert boxes_of(masks).tolist() == [[12, 8, 40, 20], [60, 60, 64, 64]]


def test_noise_moves_corners_a_tenth_and_never_beyond_twenty_pixels_or_the_canvas():
    boxes = torch.tensor([[100.0, 100, 200, 200], [0, 0, 1000, 1000]]).repeat(300, 1)
    moved = noised(boxes, 1024, generator())
    difference = moved - boxes
    assert 5 < float(difference[::2].std()) < 15
    assert float(difference.abs().max()) <= 20
    assert moved.min() >= 0
    assert (moved[:, 2:] >= moved[:, :2]).all()


def test_points_fall_into_their_regions_and_an_empty_region_says_so():
    regions = torch.zeros(3, 16, 16, dtype=torch.bool)
    regions[0, 4, 7] = True
    regions[1, 8:, :] = True
    points, there = point_in(regions, generator())
    assert there.tolist() == [True, True, False]
    assert points[0].tolist() == [30, 18]
    assert points[1, 1] > 32
    assert value_at(regions, points).tolist() == [1, 1, 0]


def test_prompts_grow_by_a_point():
    prompts = with_points(CanvasPrompts(boxes=torch.zeros(2, 4)), torch.ones(2, 2), torch.ones(2).int())
    prompts = with_points(prompts, torch.zeros(2, 2), torch.zeros(2).int())
    assert prompts.point_coords.shape == (2, 2, 2)
    assert prompts.point_labels.tolist() == [[1, 0], [1, 0]]
    assert prompts.boxes.shape == (2, 4)


def test_coordinates_keep_their_digits_under_bf16(model, coffee_encoded):
    prompts = CanvasPrompts(torch.tensor([[[500.0, 340.0]]]), torch.ones(1, 1, dtype=torch.int))
    with torch.no_grad():
        exact, _ = decode_all_tokens(model, coffee_encoded.image_embedding, prompts)
        with torch.autocast("cpu", torch.bfloat16):
            rounded, _ = decode_all_tokens(model, coffee_encoded.image_embedding, prompts)
    assert rounded.dtype == torch.float32
    agreement = ((exact > 0) == (rounded > 0)).float().mean()
    assert float(agreement) == pytest.approx(1, abs=0.01)
