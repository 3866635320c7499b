"""Each stage learns: its own loss falls on thirty-two real photographs, on a CPU, in seconds."""

import json

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

import repvit_sam
from repvit_sam.distill.batch_norm import frozen_batch_norms
from repvit_sam.distill.data.loader import Batches, KeptCanvases
from repvit_sam.distill.data.sources import find_photos
from repvit_sam.distill.recipe import EncoderStage, MasksStage, PromptsStage, Student
from repvit_sam.distill.stages import build_stage
from repvit_sam.distill.student import build_student, parameter_groups, set_trained
from repvit_sam.distill.teacher import encode, load_teacher

CANVAS = 128


@pytest.fixture(scope="module")
def teacher():
    return load_teacher("vit_t", CANVAS, "cpu")


@pytest.fixture(scope="module")
def masks_folder(tmp_path_factory, photos_folder):
    """The photos with masks that the bundled model finds on them, as a COCO-format folder."""
    folder = tmp_path_factory.mktemp("masks")
    (folder / "images").symlink_to(photos_folder)
    model = repvit_sam.load("tinyvit_sam", "cpu", canvas=256)
    predictor = repvit_sam.SamPredictor(model)
    images, annotations = [], []
    for number, path in enumerate(sorted(photos_folder.glob("*.jpg"))):
        photo = repvit_sam.read_photo(path)
        height, width = photo.shape[:2]
        predictor.set_image(photo)
        points = np.array([[[width * 0.5, height * 0.5]], [[width * 0.3, height * 0.6]], [[width * 0.7, height * 0.3]]])
        masks, _, _ = predictor.predict(points, np.ones((3, 1), int), multimask_output=False, batched=True)
        images.append({"id": number, "file_name": path.name, "height": height, "width": width})
        for mask in masks[:, 0]:
            rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0,
                "area": int(mask.sum()), "bbox": [0, 0, 1, 1],
                "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
            })  # fmt: skip
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "x"}]}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def losses_of(stage, source, teacher, steps, start=None, seed=0):
    """The loss of every step."""
    torch.manual_seed(0)
    student = build_student(Student(variant="repvit_m0_9", start=start), teacher, CANVAS)
    set_trained(student, stage.train)
    module = build_stage(stage, student, teacher, variance=0.01, seed=seed).train()
    if stage.freeze_batchnorm:
        frozen_batch_norms(module)
    items = find_photos([str(source)]).items
    assert len(items) == 32
    canvases = KeptCanvases(items, CANVAS, torch.device("cpu"), 2, with_masks=True)
    batches = Batches(canvases, seed, stage.augment, encode=lambda canvas: encode(teacher, canvas, "fp32"))
    optimiser = torch.optim.AdamW(parameter_groups(student, 0.01), lr=stage.learning_rate)
    positions = (list(range(first, first + stage.batch)) for first in range(0, steps * stage.batch, stage.batch))
    history = []
    for batch in batches.of(positions):
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


@pytest.mark.slow
def test_the_encoder_stage_lowers_its_error_on_windows(photos_folder, teacher):
    stage = EncoderStage(kind="encoder", steps=1, batch=4, window=64, windows=2, learning_rate=2e-3)
    history, _ = losses_of(stage, photos_folder, teacher, steps=16)
    assert fall(history) < 0.7


@pytest.mark.slow
def test_the_prompts_stage_brings_masks_nearer_to_the_teachers(photos_folder, teacher):
    stage = PromptsStage(
        kind="prompts", steps=1, batch=2, prompts=4, rounds=2, learning_rate=3e-4, freeze_batchnorm=True
    )
    history, losses = losses_of(stage, photos_folder, teacher, steps=20, start="small")
    assert fall(history) < 0.9
    assert 0 < float(losses["agreement"]) <= 1


@pytest.mark.slow
def test_the_masks_stage_brings_masks_nearer_to_the_truth(masks_folder, teacher):
    stage = MasksStage(
        kind="masks", steps=1, batch=2, masks=3, rounds=3, learning_rate=2e-4, freeze_batchnorm=True,
        train=("encoder", "decoder"),
    )  # fmt: skip
    history, losses = losses_of(stage, masks_folder, teacher, steps=16, start="small")
    assert fall(history) < 0.9
    assert 0 < float(losses["iou"]) <= 1


def gradient_of(stage, source, teacher, names):
    student = build_student(Student(variant="repvit_m0_9", start="small"), teacher, CANVAS)
    set_trained(student, stage.train)
    module = build_stage(stage, student, teacher, 0.01, 0).train()
    canvases = KeptCanvases(find_photos([str(source)]).items[:2], CANVAS, torch.device("cpu"), 1, with_masks=True)
    (batch,) = Batches(canvases, 0, stage.augment, encode=lambda c: encode(teacher, c, "fp32")).of(iter([[0, 1]]))
    module(batch)["loss"].backward()
    return {name: any(p.grad is not None for p in getattr(student, name).parameters()) for name in names}


@pytest.mark.parametrize("trained", [("encoder",), ("decoder",), ("encoder", "prompt_encoder", "decoder")])
def test_only_the_parts_that_the_recipe_names_learn(trained, photos_folder, teacher):
    stage = PromptsStage(kind="prompts", steps=1, batch=2, prompts=2, rounds=2, train=trained)
    learning = gradient_of(stage, photos_folder, teacher, ["image_encoder", "prompt_encoder", "mask_decoder"])
    assert learning == {
        "image_encoder": "encoder" in trained,
        "prompt_encoder": "prompt_encoder" in trained,
        "mask_decoder": "decoder" in trained,
    }


def test_a_blank_photo_costs_nothing(tmp_path, teacher):
    from PIL import Image

    (tmp_path / "blank").mkdir()
    for number in range(2):
        Image.new("RGB", (80, 60), "white").save(tmp_path / "blank" / f"{number}.png")
    stage = MasksStage(kind="masks", steps=1, batch=2)
    learning = gradient_of(stage, tmp_path / "blank", teacher, ["image_encoder", "mask_decoder"])
    assert learning == {"image_encoder": True, "mask_decoder": False}
    decoder_alone = MasksStage(kind="masks", steps=1, batch=2, train=("decoder",))
    learning = gradient_of(decoder_alone, tmp_path / "blank", teacher, ["image_encoder", "mask_decoder"])
    assert learning == {"image_encoder": False, "mask_decoder": True}


def test_the_same_position_makes_the_same_prompts(photos_folder, teacher):
    stage = PromptsStage(kind="prompts", steps=1, batch=2, prompts=3, learning_rate=1e-9)
    first, _ = losses_of(stage, photos_folder, teacher, steps=1, start="small")
    again, _ = losses_of(stage, photos_folder, teacher, steps=1, start="small")
    other, _ = losses_of(stage, photos_folder, teacher, steps=1, start="small", seed=5)
    assert first == again
    assert first != other
