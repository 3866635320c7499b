import torch

from repvit_sam.distill.teacher import encode


def test_a_teacher_is_frozen_and_gives_float32(teacher):
    assert not any(weight.requires_grad for weight in teacher.parameters())
    canvas = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    embedding = encode(teacher, canvas, "fp32")
    assert (embedding.shape, embedding.dtype) == ((1, 256, 8, 8), torch.float32)
    torch.testing.assert_close(embedding, teacher.image_encoder(canvas), atol=1e-4, rtol=1e-4)


def test_layer_norms_see_float32_under_autocast(teacher):
    seen = set()
    norms = [module for module in teacher.image_encoder.modules() if "LayerNorm" in type(module).__name__]
    hooks = [norm.register_forward_pre_hook(lambda _, inputs: seen.add(inputs[0].dtype)) for norm in norms]
    embedding = encode(teacher, torch.randn(1, 3, 128, 128), "bf16")
    for hook in hooks:
        hook.remove()
    assert seen == {torch.float32}
    assert embedding.dtype == torch.float32
