import pytest
import torch

from repvit_sam.distill.data.dataset import MemoryDataset
from repvit_sam.distill.data.loader import BatchLoader
from repvit_sam.distill.data.sources import read_sources
from repvit_sam.distill.data.teacher_targets import OnlineTargets
from repvit_sam.distill.recipe import AugmentConfig, PromptsStage, Recipe, TeacherConfig
from repvit_sam.distill.stages.decoding import mirrored, on_objects
from repvit_sam.distill.stages.mask_teacher import MaskTeacher
from repvit_sam.distill.teacher import load_teacher
from repvit_sam.prompts import CanvasPrompts

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


def decoded(mask_teacher, batch, prompts=PROMPTS):
    return mask_teacher.decode(mask_teacher.embeddings(batch), prompts)


def test_a_committees_masks_are_the_mean_of_its_members(batch, teacher, committee):
    small = load_teacher("small", CANVAS, CPU)
    alone = decoded(MaskTeacher(teacher), batch)
    other_alone = decoded(MaskTeacher(small), batch._replace(target=small.image_encoder(batch.canvas)))
    for together, one, other in zip(decoded(committee, batch), alone, other_alone, strict=True):
        torch.testing.assert_close(together, (one + other) / 2, atol=1e-4, rtol=1e-4)


def test_the_committee_sees_the_photo_as_the_student_does(batch, committee):
    """The mirrored canvas of an augmented batch, not the file's."""
    other_way = batch._replace(canvas=batch.canvas.flip(-1))
    assert not torch.allclose(committee.embeddings(batch)[1], committee.embeddings(other_way)[1])


@pytest.mark.parametrize("prompts", [PROMPTS, CanvasPrompts(boxes=torch.tensor([[16.0, 8.0, 70.0, 60.0]]))])
def test_a_mirrored_teacher_answers_the_mirrored_prompts(batch, teacher, prompts):
    """On a photo that is its own mirror image both views say the same."""
    canvas = batch.canvas + batch.canvas.flip(-1)
    even = batch._replace(canvas=canvas, target=teacher.image_encoder(canvas))
    both = MaskTeacher(teacher, mirrored=True)
    together, _ = both.decode(both.embeddings(even), prompts)
    alone, _ = decoded(MaskTeacher(teacher), even, prompts)
    other_side, _ = decoded(MaskTeacher(teacher), even, mirrored(prompts, CANVAS))
    torch.testing.assert_close(together, (alone + other_side.flip(-1)) / 2, atol=1e-4, rtol=1e-4)


def test_a_mirrored_teacher_changes_the_masks(batch, teacher):
    both = MaskTeacher(teacher, mirrored=True)
    assert not torch.allclose(decoded(both, batch)[0], decoded(MaskTeacher(teacher), batch)[0])


def test_mirroring_twice_changes_nothing():
    prompts = CanvasPrompts(PROMPTS.point_coords, PROMPTS.point_labels, torch.rand(2, 4), torch.rand(2, 1, 4, 4))
    twice = mirrored(mirrored(prompts, CANVAS), CANVAS)
    for name, value in vars(prompts).items():
        torch.testing.assert_close(getattr(twice, name), value, atol=1e-4, rtol=0)


def test_a_students_losses_follow_the_committee(photos_folder, teacher):
    stage = PromptsStage(kind="prompts", steps=1, batch=2, prompts=2, learning_rate=1e-9)
    alone, _ = losses_of(stage, photos_folder, teacher, steps=1, start="small")
    together, _ = losses_of(stage, photos_folder, teacher, steps=1, start="small", committee=("small",))
    assert together[0] < alone[0]  # the student is a member: half of the mean are its own masks


@pytest.mark.parametrize("more", [{"committee": ["small"]}, {"mirrored": True}])
def test_a_committee_without_a_stage_for_it_is_refused(more):
    content = {
        "data": {"sources": ["x"]},
        "teacher": more,
        "stages": [{"kind": "encoder", "steps": 1}],
    }
    with pytest.raises(ValueError, match="is for prompts stages, and there is none"):
        Recipe.model_validate(content)
