"""The saved packages (run by Core ML on a Mac, elsewhere by the MIL interpreter) against PyTorch on photographs."""

import numpy as np
import pytest
import torch

import repvit_sam
from repvit_sam.canvas import fit_photo, normalise_and_pad, resize_photo
from repvit_sam.export.coreml import convert_encoder
from repvit_sam.export.coreml_runtime.mil_interpreter import MilProgram
from repvit_sam.export.coreml_runtime.model import CoreMLDecoder, CoreMLEncoder
from repvit_sam.export.traceable import prepare
from repvit_sam.masks import logits_to_photo
from repvit_sam.modeling.decoder import decode_reference
from repvit_sam.modeling.image_encoder import TIMM_ENCODERS
from repvit_sam.prompts import CanvasPrompts

from ...conftest import PHOTOS
from ..conftest import CANVAS

# a name, points with labels, a box; photo pixels
PROMPTS = {
    "astronaut.jpg": ([[220, 120]], [1], None),
    "chelsea.jpg": ([[200, 150], [20, 20]], [1, 0], None),
    "coffee.jpg": (None, None, [170, 12, 425, 282]),
    "rocket.jpg": ([[320, 200]], [1], [270, 60, 380, 400]),
}


def iou(a, b):
    union = np.logical_or(a, b).sum()
    return np.logical_and(a, b).sum() / union if union else 1.0


def relative_difference(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("name", PROMPTS)
@torch.no_grad()
def test_masks_of_photographs_equal_those_of_pytorch(small, coreml_folder, name):
    photo = repvit_sam.read_photo(PHOTOS / name)
    predictor = repvit_sam.SamPredictor(small)
    predictor.set_image(photo)
    coords, labels, box = PROMPTS[name]
    expected, _, logits = predictor.predict(coords, labels, box, multimask_output=False)

    fit = fit_photo(photo.shape[:2], CANVAS)
    embedding = CoreMLEncoder(coreml_folder / "encoder.mlpackage", CANVAS).encode_content(resize_photo(photo, fit), 99)
    assert relative_difference(embedding, predictor.features.numpy()) < 2e-2
    points, marks = CanvasPrompts(
        None if coords is None else fit.coords_to_canvas(np.array(coords))[None],
        None if labels is None else np.array(labels)[None],
        None if box is None else fit.boxes_to_canvas(np.array([box])),
    ).labelled_points()
    used = marks[0] >= 0
    decoder = CoreMLDecoder(coreml_folder / "decoder.mlpackage", CANVAS)
    found = decoder.decode(embedding, points[0][used], marks[0][used])
    masks = logits_to_photo(found["low_res_logits"], fit)[0, :1] > 0
    assert iou(masks, expected) >= 0.99
    own = decoder.decode(predictor.features.numpy(), points[0][used], marks[0][used])
    assert relative_difference(own["low_res_logits"][0, :1], logits) < 2e-2


@torch.no_grad()
def test_every_kind_of_prompt_gives_pytorchs_mask(small_photo, coreml_folder, coffee, prompt):
    """Encoder and decoder packages in fp16, from the photo to the mask, for 1, 2, 5, 10 points, a box, a mask."""
    fit = small_photo.encoded.fit
    embedding = CoreMLEncoder(coreml_folder / "encoder.mlpackage", CANVAS).encode_content(resize_photo(coffee, fit))
    coords, labels = np.zeros((0, 2)), np.zeros(0)
    if "point_coords" in prompt:
        coords, labels = fit.coords_to_canvas(np.array(prompt["point_coords"])), np.array(prompt["point_labels"])
    if "box" in prompt:
        corners = fit.boxes_to_canvas(np.array(prompt["box"])).reshape(2, 2)
        coords, labels = np.concatenate([coords, corners]), np.concatenate([labels, [2, 3]])
    mask_input = None if "mask_input" not in prompt else prompt["mask_input"][None]
    decoder = CoreMLDecoder(coreml_folder / "decoder.mlpackage", CANVAS)
    found = decoder.decode(embedding, coords, labels, mask_input)

    masks = logits_to_photo(found["low_res_logits"], fit)[0] > 0
    for multimask_output, chosen in ((False, slice(0, 1)), (True, slice(1, 4))):
        expected, ious, logits = small_photo.predict(**prompt, multimask_output=multimask_output)
        assert relative_difference(found["low_res_logits"][0, chosen], logits) < 2e-2
        np.testing.assert_allclose(found["iou_predictions"][0, chosen], ious, atol=1e-2)
        assert iou(masks[chosen], expected) >= 0.99


@pytest.mark.slow
@torch.no_grad()
def test_fp32_packages_equal_pytorch(small, coreml_fp32_folder, small_photo, coffee):
    fit = small_photo.encoded.fit
    canvas = normalise_and_pad(resize_photo(coffee, fit), CANVAS)
    embedding = CoreMLEncoder(coreml_fp32_folder / "encoder.mlpackage", CANVAS).encode_canvas(canvas)
    assert relative_difference(embedding, small_photo.features.numpy()) < 1e-3

    decoder = CoreMLDecoder(coreml_fp32_folder / "decoder.mlpackage", CANVAS)
    random = np.random.default_rng(0)
    mask = random.normal(0, 5, (1, 1, CANVAS // 4, CANVAS // 4)).astype(np.float32)
    for count, has_box, has_mask in [(1, 0, 0), (2, 0, 0), (5, 0, 1), (10, 0, 0), (0, 1, 0), (3, 1, 1), (0, 0, 1)]:
        coords = random.uniform(0, CANVAS, (1, count, 2)).astype(np.float32)
        labels = random.integers(0, 2, (1, count))
        box = torch.tensor([[30.0, 20, 180, 150]]) if has_box else None
        expected, ious = decode_reference(
            small,
            small_photo.features,
            CanvasPrompts(
                torch.from_numpy(coords) if count else None,
                torch.from_numpy(labels) if count else None,
                box,
                torch.from_numpy(mask) if has_mask else None,
            ),
        )
        corners = [] if box is None else box.reshape(2, 2).tolist()
        points = [*coords[0].tolist(), *corners]
        marks = [*labels[0].tolist(), *([2, 3] if has_box else [])]
        found = decoder.decode(small_photo.features.numpy(), points, marks, mask if has_mask else None)
        assert relative_difference(found["low_res_logits"], expected.numpy()) < 1e-3, (count, has_box, has_mask)
        np.testing.assert_allclose(found["iou_predictions"], ious.numpy(), atol=1e-3)
        upscaled = torch.nn.functional.interpolate(expected, (CANVAS, CANVAS), mode="bilinear", align_corners=False)
        assert relative_difference(found["logits"], upscaled.numpy()) < 1e-3


def test_angles_of_points_are_computed_in_float32(coreml_folder):
    program = MilProgram(coreml_folder / "decoder.mlpackage")
    for op in program._main.operations:
        if op.op_type in ("sin", "cos"):
            assert op.outputs[0].dtype.get_bitwidth() == 32


@pytest.mark.every_export
@pytest.mark.parametrize("canvas", [512, 768, 1024])
@pytest.mark.parametrize("variant", TIMM_ENCODERS)
def test_every_variant_and_canvas_converts(variant, canvas, coffee, tmp_path):
    torch.manual_seed(0)
    model = repvit_sam.build_repvit_sam(variant, canvas=canvas)
    fit = fit_photo(coffee.shape[:2], canvas)
    content = resize_photo(coffee, fit)
    with torch.no_grad():
        expected = model.image_encoder(torch.from_numpy(normalise_and_pad(content, canvas))).numpy()
    convert_encoder(prepare(model), "fp32", picture=True).save(str(tmp_path / "encoder.mlpackage"))
    found = CoreMLEncoder(tmp_path / "encoder.mlpackage", canvas).encode_content(content, 7)
    assert relative_difference(found, expected) < 1e-3
