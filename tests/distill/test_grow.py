import pytest
import torch
import typer
from typer.testing import CliRunner

import repvit_sam
from repvit_sam.build import build_repvit_sam
from repvit_sam.distill.grow import GrowthError, grow, main


@pytest.fixture(scope="module")
def small():
    """Trained as far as this matters: statistics and scales that are not those of a fresh network."""
    torch.manual_seed(0)
    model = build_repvit_sam("repvit_m0_9", canvas=128).train()
    for _ in range(3):
        model.image_encoder(torch.randn(2, 3, 128, 128))
    with torch.no_grad():
        for norm in model.image_encoder.body.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.weight.uniform_(0.3, 0.9)
                norm.bias.uniform_(-0.2, 0.2)
    return model.eval()


@pytest.fixture(scope="module")
def canvases():
    return torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def grown(small, canvases):
    return grow(small, "repvit_m2_3", canvases)


def test_a_grown_network_computes_what_the_small_one_does(small, grown):
    unseen = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        torch.testing.assert_close(
            grown.image_encoder(unseen), small.image_encoder(unseen), atol=1e-3, rtol=0
        )  # outputs have variance 1


def test_everything_new_can_learn(small, canvases):
    grown = grow(small, "repvit_m1_5", canvases)
    optimizer = torch.optim.SGD(grown.image_encoder.parameters(), lr=1e-2)
    for _ in range(3):  # what a silent branch holds hears of the loss once the branch is no longer silent
        optimizer.zero_grad()
        grown.image_encoder(canvases).square().mean().backward()
        optimizer.step()
    still = [name for name, w in grown.image_encoder.named_parameters() if w.grad is None or not w.grad.any()]
    assert still == []


def test_batch_norms_of_what_is_new_have_statistics(grown):
    norm = grown.image_encoder.body.stem.conv1.bn
    assert not torch.equal(norm.running_var[-8:], torch.ones(8))


def test_a_shallower_variant_is_refused(small, canvases):
    with pytest.raises(GrowthError, match="repvit_m1_1 is not as deep: 12 blocks in stage 2, repvit_m0_9 has 14"):
        grow(small, "repvit_m1_1", canvases)


def test_a_narrower_variant_is_refused(canvases):
    with pytest.raises(GrowthError, match="not at least as wide"):
        grow(build_repvit_sam("repvit_m1_0", canvas=128).eval(), "repvit_m0_9", canvases)


def test_the_command_writes_weights_that_load(small, photos_folder, tmp_path):
    small.save(tmp_path / "small.safetensors")
    app = typer.Typer()
    app.command()(main)
    out = tmp_path / "grown.safetensors"
    words = ["--start", tmp_path / "small.safetensors", "--data", photos_folder, "--out", out, "--photos", 2,
             "--variant", "repvit_m1_5"]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    grown = repvit_sam.load(out, "cpu")
    assert (grown.variant, grown.canvas_size) == ("repvit_m1_5", 128)
    assert "small.safetensors" in grown.checkpoint.provenance["grown_from"]
