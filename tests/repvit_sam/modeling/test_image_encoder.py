import pytest
import torch
from torch import nn

from repvit_sam.modeling.image_encoder import TIMM_ENCODERS, ImageEncoder, fuse_batch_norms


def with_lively_norms(encoder):
    """Batch norms as after training, so that folding them wrongly would show."""
    torch.manual_seed(0)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return encoder.eval()


@pytest.mark.parametrize("variant", TIMM_ENCODERS)
@torch.no_grad()
def test_every_variant_runs_on_any_canvas_and_fuses_to_the_same(variant):
    encoder = with_lively_norms(ImageEncoder(variant, canvas_size=192))
    canvas = torch.randn(2, 3, 192, 192)
    unfused = encoder(canvas)
    assert unfused.shape == (2, 256, 12, 12)
    fuse_batch_norms(encoder)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())
    assert (encoder(canvas) - unfused).abs().max() < 1e-4


def test_m2_3_has_the_published_size():
    encoder = ImageEncoder("repvit_m2_3")
    assert round(sum(p.numel() for p in encoder.parameters()) / 1e6, 2) == 23.16
    fuse_batch_norms(encoder.eval())
    assert sum(p.numel() for p in encoder.parameters()) == 23_040_480


def test_unknown_variants_and_canvases_are_refused():
    with pytest.raises(ValueError, match=r"unknown image encoder 'repvit_m9'; known: repvit_m0_9"):
        ImageEncoder("repvit_m9")
    with pytest.raises(ValueError, match="multiple of 64"):
        ImageEncoder("repvit_m0_9", canvas_size=1000)


def test_imagenet_weights_that_cannot_be_fetched_are_explained(monkeypatch):
    def offline(pretrained, num_classes):
        raise OSError("no route to host")

    monkeypatch.setitem(TIMM_ENCODERS, "repvit_m0_9", type(TIMM_ENCODERS["repvit_m0_9"])(offline, ""))
    with pytest.raises(ConnectionError, match="pretrained=False"):
        ImageEncoder("repvit_m0_9", pretrained=True)
