"""Many prompts at once give what segment_anything gives: logits within 5e-4 (they go up to 50), no pixel apart."""

import pytest
import torch

from repvit_sam.modeling.batch_decoder import decode_batch
from repvit_sam.modeling.decoder import decode, decode_reference
from repvit_sam.prompts import CanvasPrompts

BOXES = torch.tensor(
    [[300.0, 20, 730, 480], [10, 10, 60, 90], [0, 0, 1023, 680], [500, 300, 510, 312], [90, 80, 200, 600]]
)
POINTS = torch.tensor([[[100.0, 100], [400, 300]]]).repeat(5, 1, 1) + torch.arange(5)[:, None, None] * 60
LABELS = torch.tensor([[1, 0], [1, 1], [1, -1], [0, 1], [1, 0]], dtype=torch.int)


def mask_input():
    torch.manual_seed(1)
    return torch.randn(5, 1, 256, 256) * 5


@pytest.mark.parametrize("chosen", [slice(0, 1), slice(1, None)], ids=["single mask", "three masks"])
@pytest.mark.parametrize(
    "prompts",
    [
        (None, None, BOXES, None),
        (POINTS, LABELS, None, None),
        (POINTS, LABELS, BOXES, mask_input()),
        (None, None, BOXES, mask_input()[:1]),
    ],
    ids=["boxes", "points", "points, boxes and masks", "boxes and one mask for all"],
)
def test_a_batch_equals_segment_anything(model, coffee_encoded, prompts, chosen):
    with torch.no_grad():
        expected, expected_ious = decode_reference(model, coffee_encoded.image_embedding, CanvasPrompts(*prompts))
        logits, ious = decode(model, coffee_encoded.image_embedding, CanvasPrompts(*prompts), chosen)
    torch.testing.assert_close(logits, expected[:, chosen], atol=5e-4, rtol=0)
    torch.testing.assert_close(ious, expected_ious[:, chosen], atol=1e-5, rtol=0)
    assert ((logits > 0) == (expected[:, chosen] > 0)).all()


def test_an_embedding_may_be_of_another_shape_than_square(model):
    """The function itself asks for no square: 16 x 24 tokens."""
    torch.manual_seed(0)
    embedding, image_pe = torch.randn(1, 256, 16, 24), torch.randn(1, 256, 16, 24)
    sparse, dense = torch.randn(5, 2, 256), torch.randn(1, 256, 1, 1).expand(5, -1, 16, 24)
    with torch.no_grad():
        expected, _ = model.mask_decoder.predict_masks(embedding, image_pe, sparse, dense)
        logits, _ = decode_batch(model.mask_decoder, embedding, image_pe, sparse, dense, slice(0, 4))
    torch.testing.assert_close(logits, expected, atol=5e-4, rtol=1e-4)
