"""What the tests of all stages share: a few steps on thirty-two real photographs, on a CPU."""

import numpy as np
import torch

from repvit_sam.distill.batch_norm import frozen_batch_norms
from repvit_sam.distill.data.dataset import MemoryDataset
from repvit_sam.distill.data.loader import BatchLoader
from repvit_sam.distill.data.sources import read_sources
from repvit_sam.distill.data.teacher_targets import OnlineTargets
from repvit_sam.distill.recipe import StudentConfig, TeacherConfig
from repvit_sam.distill.stages import build_stage
from repvit_sam.distill.stages.mask_teacher import MaskTeacher
from repvit_sam.distill.student import build_student, parameter_groups, set_trained

CANVAS, CPU = 128, torch.device("cpu")


def losses_of(stage, source, teacher, steps, start=None, seed=0, committee=()):
    """The loss of every step."""
    torch.manual_seed(0)
    student = build_student(StudentConfig(variant="repvit_m0_9", start=start), teacher, CANVAS)
    set_trained(student, stage.train)
    config = TeacherConfig(committee=committee)
    module = build_stage(stage, student, MaskTeacher.of(config, teacher, CANVAS, CPU), variance=0.01, seed=seed).train()
    if stage.freeze_batchnorm:
        frozen_batch_norms(module)
    items = read_sources([str(source)]).items
    assert len(items) == 32
    dataset = MemoryDataset(items, CANVAS, CPU, 2, with_masks=stage.kind != "encoder")
    loader = BatchLoader(dataset, CPU, seed, stage.augment, OnlineTargets(teacher, "fp32"))
    optimiser = torch.optim.AdamW(parameter_groups(student, 0.01), lr=stage.learning_rate)
    history = []
    for batch in loader.batches(range(steps * stage.batch), stage.batch):
        losses = module(batch)
        losses["loss"].backward()
        optimiser.step()
        optimiser.zero_grad()
        history.append(float(losses["loss"].detach()))
    return history, losses


def fall(history):
    """The last quarter's mean as a share of the first quarter's."""
    part = len(history) // 4
    return np.mean(history[-part:]) / np.mean(history[:part])


def gradient_of(stage, source, teacher, names):
    """Which parts of the student get a gradient."""
    student = build_student(StudentConfig(variant="repvit_m0_9", start="small"), teacher, CANVAS)
    set_trained(student, stage.train)
    module = build_stage(stage, student, MaskTeacher(teacher), 0.01, 0).train()
    dataset = MemoryDataset(read_sources([str(source)]).items[:2], CANVAS, CPU, 1, with_masks=True)
    (batch,) = BatchLoader(dataset, CPU, 0, stage.augment, OnlineTargets(teacher, "fp32")).batches(range(2), 2)
    module(batch)["loss"].backward()
    return {name: any(p.grad is not None for p in getattr(student, name).parameters()) for name in names}
