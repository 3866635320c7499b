import pytest
import torch

from repvit_sam.distill.data.dataset import MemoryDataset
from repvit_sam.distill.data.loader import BatchLoader
from repvit_sam.distill.data.sources import read_sources
from repvit_sam.distill.data.teacher_targets import OnlineTargets
from repvit_sam.distill.recipe import AugmentConfig, PromptsStage, Recipe, TeacherConfig
from repvit_sam.distill.stages.decoding import on_objects
from repvit_sam.distill.stages.mask_teacher import MaskTeacher
from repvit_sam.distill.teacher import load_teacher

from .learning import CANVAS, CPU, losses_of

PROMPTS = on_objects(torch.tensor([[40.0, 40.0], [70.0, 30.0]]))


@pytest.fixture(scope="module")
def batch(photos_folder, teacher):
    dataset = MemoryDataset(read_sources([str(photos_folder)]).items[:1], CANVAS, CPU, 1, with_masks=False)
    (batch,) = BatchLoader(dataset, CPU, 0, AugmentConfig(mirror=True), OnlineTargets(teacher, "fp32")).batches([0], 1)
    return batch


@pytest.fixture(scope="module")
def committee(teacher):
    return MaskTeacher.of(TeacherConfig(checkpoint="vit_t", committee=("small",)), teacher, CANVAS, CPU)


def decoded(mask_teacher, batch):
    return mask_teacher.decode(mask_teacher.embeddings(batch), PROMPTS)


def test_a_committees_masks_are_the_mean_of_its_members(batch, teacher, committee):
    small = load_teacher("small", CANVAS, CPU)
    alone = decoded(MaskTeacher(teacher), batch)
    other_alone = decoded(MaskTeacher(small), batch._replace(target=small.image_encoder(batch.canvas)))
    for together, one, other in zip(decoded(committee, batch), alone, other_alone, strict=True):
        torch.testing.assert_close(together, (one + other) / 2, atol=1e-4, rtol=1e-4)


def test_the_committee_sees_the_photo_as_the_student_does(batch, committee):
    """The mirrored canvas of an augmented batch, not the file's."""
    mirrored = batch._replace(canvas=batch.canvas.flip(-1))
    assert not torch.allclose(committee.embeddings(batch)[1], committee.embeddings(mirrored)[1])


def test_a_students_losses_follow_the_committee(photos_folder, teacher):
    stage = PromptsStage(kind="prompts", steps=1, batch=2, prompts=2, learning_rate=1e-9)
    alone, _ = losses_of(stage, photos_folder, teacher, steps=1, start="small")
    together, _ = losses_of(stage, photos_folder, teacher, steps=1, start="small", committee=("small",))
    assert together[0] < alone[0]  # the student is a member: half of the mean are its own masks


def test_a_committee_without_a_stage_for_it_is_refused():
    content = {
        "data": {"sources": ["x"]},
        "teacher": {"committee": ["small"]},
        "stages": [{"kind": "encoder", "steps": 1}],
    }
    with pytest.raises(ValueError, match="is for prompts stages, and there is none"):
        Recipe.model_validate(content)
