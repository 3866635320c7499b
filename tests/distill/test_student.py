import pytest
import torch

from repvit_sam.distill.recipe import RecipeError, StudentConfig
from repvit_sam.distill.student import build_student, parameter_groups, set_trained
from repvit_sam.modeling.backbone import build_backbone


def test_from_nothing_the_decoder_and_the_necks_end_are_the_teachers(teacher):
    student = build_student(StudentConfig(variant="repvit_m0_9"), teacher, 128)
    for part in ("prompt_encoder", "mask_decoder"):
        theirs = getattr(teacher, part).state_dict()
        assert all(torch.equal(value, theirs[name]) for name, value in getattr(student, part).state_dict().items())
    assert torch.equal(student.image_encoder.neck[2].weight, teacher.image_encoder.neck[2].weight)


def test_only_what_has_more_than_one_axis_decays(teacher):
    student = build_student(StudentConfig(variant="repvit_m0_9"), teacher, 128)
    set_trained(student, ("encoder",))
    decayed, plain = parameter_groups(student, 0.05)
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.05, 0.0)
    assert all(weight.ndim > 1 for weight in decayed["params"])
    encoder = sum(1 for _ in student.image_encoder.parameters())
    assert len(decayed["params"]) + len(plain["params"]) == encoder


def test_a_start_of_another_variant_is_refused(teacher):
    with pytest.raises(RecipeError, match=r"student.start is a repvit_m0_9, but student.variant is repvit_m1_1"):
        build_student(StudentConfig(variant="repvit_m1_1", start="small"), teacher, 128)


def test_a_classifier_of_ones_own_is_a_start(teacher, tmp_path):
    classifier = build_backbone("repvit_m0_9", num_classes=3)
    torch.save({"state_dict": classifier.state_dict()}, tmp_path / "mine.pth")
    student = build_student(StudentConfig(variant="repvit_m0_9", start=f"imagenet:{tmp_path}/mine.pth"), teacher, 128)
    assert torch.equal(student.image_encoder.body.stem.conv1.c.weight, classifier.stem.conv1.c.weight)
    assert torch.equal(student.image_encoder.neck[3].weight, teacher.image_encoder.neck[3].weight)
