"""An image encoder that starts from a file of an ImageNet classifier."""

import argparse

import pytest
import torch

from repvit_sam.build import build_repvit_sam
from repvit_sam.checkpoints.key_mapping import REPVIT_DEPTHS, Layout, backbone_to_own, from_own
from repvit_sam.errors import CheckpointError
from repvit_sam.modeling.backbone import build_backbone, fuse_children, randomise_norms
from repvit_sam.modeling.image_encoder import ImageEncoder


def classifier(variant="repvit_m0_9"):
    torch.manual_seed(1)
    network = build_backbone(variant, num_classes=5, distillation=True).eval()
    randomise_norms(network)
    return network


def authors_names(network, variant="repvit_m0_9"):
    """The state dict of the authors' main.py: rows of ``features``, and the heads under other names."""
    own = {f"image_encoder.body.{key}": value for key, value in network.state_dict().items() if "head" not in key}
    published = from_own(own, Layout.PUBLISHED, variant)
    heads = {key.replace("head.head", "classifier.classifier"): v for key, v in network.head.state_dict().items()}
    return {key.removeprefix("image_encoder."): value for key, value in published.items()} | heads


@pytest.fixture(scope="module")
def network():
    return classifier()


@pytest.mark.parametrize("form", ["timm", "timm in a training file", "authors"])
@torch.no_grad()
def test_an_encoder_takes_the_features_of_the_classifier_in_any_form(form, network, tmp_path):
    content = {
        "timm": network.state_dict(),
        "timm in a training file": {"epoch": 1, "arch": "repvit_m0_9", "state_dict": network.state_dict()},
        "authors": {"model": authors_names(network)},
    }[form]
    torch.save(content, tmp_path / "weights.pth")
    encoder = build_repvit_sam("repvit_m0_9", canvas=128, pretrained=tmp_path / "weights.pth").image_encoder
    encoder.body.stages[3].downsample.spatial_downsample.c.stride = (2, 2)  # as the classifier has it
    canvas = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert torch.equal(encoder.body.forward_features(canvas), network.forward_features(canvas))


@pytest.mark.parametrize("variant", REPVIT_DEPTHS)
def test_the_authors_names_of_every_variant_become_the_encoders(variant):
    with torch.device("meta"):
        network, encoder = build_backbone(variant), ImageEncoder(variant)
    renamed = backbone_to_own(authors_names(network, variant))
    assert {key.removeprefix("image_encoder.body.") for key in renamed} == set(encoder.body.state_dict())


def test_another_variant_and_other_files_are_named(network, tmp_path):
    def refused(content, variant, message):
        torch.save(content, tmp_path / "weights.pth")
        with pytest.raises(CheckpointError, match=message):
            build_repvit_sam(variant, pretrained=tmp_path / "weights.pth")

    refused(network.state_dict(), "repvit_m1_0", r"weights\.pth holds repvit_m0_9, not repvit_m1_0; build that variant")
    refused({"layer1.weight": torch.zeros(1)}, "repvit_m0_9", r"of no RepViT classifier.*layer1\.weight")
    m0_6 = build_backbone("repvit_m0_6").state_dict()
    refused(m0_6, "repvit_m0_9", "holds a RepViT of unknown size, not repvit_m0_9")
    broken = {k: v for k, v in network.state_dict().items() if k != "stages.2.blocks.2.se.fc1.bias"}
    refused(broken, "repvit_m0_9", r"does not fit repvit_m0_9: missing: stages\.2\.blocks\.2\.se\.fc1\.bias")
    refused({"state_dict": network.state_dict(), "args": argparse.Namespace()}, "repvit_m0_9", r"argparse\.Namespace")
    fused = classifier()
    fuse_children(fused)
    refused(fused.state_dict(), "repvit_m0_9", "of no RepViT classifier")


def test_a_file_is_for_repvit_only(tmp_path):
    with pytest.raises(ValueError, match="pretrained takes a file for a RepViT, got one for vit_t"):
        build_repvit_sam("vit_t", pretrained=tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="vit_b works with"):
        build_repvit_sam("vit_b", pretrained=tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="does not exist"):
        build_repvit_sam("repvit_m0_9", pretrained=tmp_path / "weights.pth")
