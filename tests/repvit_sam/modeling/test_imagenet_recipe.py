"""docs/backbone.md trains the backbone on ImageNet by timm's train.py, which is in timm's repository, not in its wheel.

Here the parts that the script is made of go two steps with the same recipe, on a folder of a few photos.
"""

import shutil

import pytest
import timm
import torch
from timm.data import Mixup, create_dataset, create_loader
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3, dispatch_clip_grad

from repvit_sam.build import build_repvit_sam
from repvit_sam.modeling.backbone import build_backbone

from ...conftest import PHOTOS

TokenDistillationTask = pytest.importorskip("timm.task", reason="of a later timm").TokenDistillationTask
SIDE, BATCH = 64, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """train/CLASS/*.jpg, two classes of four photos."""
    root = tmp_path_factory.mktemp("imagenet")
    for name in ("coffee", "chelsea"):
        (root / "train" / name).mkdir(parents=True)
        for number in range(4):
            shutil.copy(PHOTOS / f"{name}.jpg", root / "train" / name / f"{number}.jpg")
    return root


@pytest.fixture(scope="module")
def loader(folder):
    return create_loader(
        create_dataset("", root=str(folder), split="train", is_training=True),
        input_size=(3, SIDE, SIDE),
        batch_size=BATCH,
        is_training=True,
        auto_augment="rand-m9-mstd0.5-inc1",
        color_jitter=0.4,
        re_prob=0.25,
        re_mode="pixel",
        interpolation="bicubic",
        num_workers=0,
        persistent_workers=False,
        use_prefetcher=False,
        device=torch.device("cpu"),
    )


def train(student, teacher, loader, epochs=1):
    """As many steps as the loader has batches -> losses, the running mean of the weights."""
    mixup = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=0.1, num_classes=2)
    optimizer = create_optimizer_v2(student, opt="adamw", lr=4e-3, weight_decay=0.025)
    schedule, _ = create_scheduler_v2(optimizer, sched="cosine", num_epochs=300, warmup_epochs=5, warmup_lr=1e-6)
    mean = ModelEmaV3(student, decay=0.99996)
    task = TokenDistillationTask(
        student, teacher, SoftTargetCrossEntropy(), distill_type="hard", task_loss_weight=0.5, verbose=False
    )
    losses = []
    task.train()
    for epoch in range(epochs):
        schedule.step(epoch)
        for photos, labels in loader:
            optimizer.zero_grad()
            found = task(*mixup(photos, labels))
            found["loss"].backward()
            dispatch_clip_grad(student.parameters(), 0.02, mode="agc")
            optimizer.step()
            mean.update(student)
            losses.append({name: value.item() for name, value in found.items() if name != "output"})
    return losses, mean.module


def test_the_recipe_goes_two_steps_and_its_weights_start_an_encoder(loader, tmp_path):
    torch.manual_seed(0)
    student = build_backbone("repvit_m0_9", num_classes=2, distillation=True)
    before = student.stem.conv1.c.weight.detach().clone()
    student.pretrained_cfg = timm.get_pretrained_cfg("repvit_m0_9").to_dict()
    teacher = timm.create_model("regnety_002", num_classes=2)  # the family of the paper's RegNetY-16GF
    losses, mean = train(student, teacher, loader)
    assert len(losses) == 2
    for loss in losses:
        assert loss["loss"] == pytest.approx(0.5 * loss["task_loss"] + 0.5 * loss["distill_loss"], rel=1e-5)
        assert 0.1 < loss["loss"] < 3
    assert not torch.equal(student.stem.conv1.c.weight, before)
    torch.save({"state_dict": student.state_dict(), "state_dict_ema": mean.state_dict()}, tmp_path / "mine.pth")
    encoder = build_repvit_sam("repvit_m0_9", canvas=SIDE, pretrained=tmp_path / "mine.pth").image_encoder
    assert torch.equal(encoder.body.stem.conv1.c.weight, student.stem.conv1.c.weight)
