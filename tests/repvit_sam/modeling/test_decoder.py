import torch

from repvit_sam.modeling.decoder import decode, decode_reference
from repvit_sam.prompts import CanvasPrompts

BOXES = torch.tensor([[300.0, 20, 730, 480], [10, 10, 60, 90]])


def test_one_prompt_is_segment_anything_s_own_to_the_bit(model, coffee_encoded):
    with torch.no_grad():
        prompt = CanvasPrompts(boxes=BOXES[:1])
        expected, _ = decode_reference(model, coffee_encoded.image_embedding, prompt)
        logits, _ = decode(model, coffee_encoded.image_embedding, prompt, slice(0, 1))
    assert torch.equal(logits, expected[:, :1])


def test_where_a_gradient_is_wanted_there_is_one(model, coffee_encoded):
    embedding = coffee_encoded.image_embedding.clone().requires_grad_()
    logits, _ = decode(model, embedding, CanvasPrompts(boxes=BOXES), slice(0, 1))
    logits.sum().backward()
    assert embedding.grad is not None
    assert embedding.grad.abs().max() > 0
