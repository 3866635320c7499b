"""The saved packages, evaluated operation by operation (on a Mac: by Core ML), against PyTorch on real photographs."""

import shutil
import sys

import numpy as np
import pytest
import torch

import repvit_sam
from repvit_sam.backends.onnx_runtime import labelled_points
from repvit_sam.canvas import fit_photo, normalise_and_pad, resize_photo
from repvit_sam.errors import PromptError
from repvit_sam.export.coreml import _compress, _palette, convert_decoder, convert_encoder, coremltools
from repvit_sam.export.coreml_runtime.mil_interpreter import MilProgram
from repvit_sam.export.coreml_runtime.model import CoreMLDecoder, CoreMLEncoder, fill_slots
from repvit_sam.export.traceable import prepare
from repvit_sam.masks import logits_to_photo
from repvit_sam.modeling.decoder import decode_reference
from repvit_sam.modeling.image_encoder import FAMILIES
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


def share(found, expected):
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
    assert share(embedding, predictor.features.numpy()) < 2e-2
    points = labelled_points(
        None if coords is None else fit.coords_to_canvas(np.array(coords))[None],
        None if labels is None else np.array(labels)[None],
        None if box is None else fit.boxes_to_canvas(np.array([box])),
    )
    used = points[1][0] >= 0
    decoder = CoreMLDecoder(coreml_folder / "decoder.mlpackage", CANVAS)
    found = decoder.decode(embedding, points[0][0][used], points[1][0][used])
    masks = logits_to_photo(found["low_res_logits"], fit)[0, :1] > 0
    assert iou(masks, expected) >= 0.99
    own = decoder.decode(predictor.features.numpy(), points[0][0][used], points[1][0][used])
    assert share(own["low_res_logits"][0, :1], logits) < 2e-2


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
        assert share(found["low_res_logits"][0, chosen], logits) < 2e-2
        np.testing.assert_allclose(found["iou_predictions"][0, chosen], ious, atol=1e-2)
        assert iou(masks[chosen], expected) >= 0.99


@torch.no_grad()
def test_fp32_packages_equal_pytorch(small, prepared, small_photo, coffee, tmp_path):
    convert_encoder(prepared, "fp32", picture=False).save(str(tmp_path / "encoder.mlpackage"))
    fit = small_photo.encoded.fit
    canvas = normalise_and_pad(resize_photo(coffee, fit), CANVAS)
    embedding = CoreMLEncoder(tmp_path / "encoder.mlpackage", CANVAS).encode_canvas(canvas)
    assert share(embedding, small_photo.features.numpy()) < 1e-3

    convert_decoder(prepared, "fp32", upscaled=True).save(str(tmp_path / "decoder.mlpackage"))
    decoder = CoreMLDecoder(tmp_path / "decoder.mlpackage", CANVAS)
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
        assert share(found["low_res_logits"], expected.numpy()) < 1e-3, (count, has_box, has_mask)
        np.testing.assert_allclose(found["iou_predictions"], ious.numpy(), atol=1e-3)
        upscaled = torch.nn.functional.interpolate(expected, (CANVAS, CANVAS), mode="bilinear", align_corners=False)
        assert share(found["logits"], upscaled.numpy()) < 1e-3


def test_weights_of_8_bits_halve_the_package(prepared, small_photo, coffee, tmp_path):
    half = convert_encoder(prepared, "fp16", picture=True)
    half.save(str(tmp_path / "fp16.mlpackage"))
    for precision, most in (("palette8", 0.03), ("linear8", 0.02)):
        package = tmp_path / f"{precision}.mlpackage"
        _compress(half, precision).save(str(package))
        assert size(package) < 0.6 * size(tmp_path / "fp16.mlpackage")
        embedding = CoreMLEncoder(package, CANVAS).encode_content(resize_photo(coffee, small_photo.encoded.fit))
        assert share(embedding, small_photo.features.numpy()) < most, precision


def size(package):
    return sum(file.stat().st_size for file in package.rglob("*") if file.is_file())


def test_the_palette_stands_for_every_number():
    weight = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)
    values, indices = _palette(weight)
    assert len(values) == 256
    error = np.abs(values[indices].reshape(weight.shape) - weight)
    evenly_spaced = (weight.max() - weight.min()) / 255 / np.sqrt(12)  # root mean square
    assert np.sqrt((error**2).mean()) < 0.7 * evenly_spaced


def test_angles_of_points_are_computed_in_float32(coreml_folder):
    program = MilProgram(coreml_folder / "decoder.mlpackage")
    for op in program._main.operations:
        if op.op_type in ("sin", "cos"):
            assert op.outputs[0].dtype.get_bitwidth() == 32


def test_the_package_says_what_it_is(coreml_folder):
    model = coremltools().models.MLModel(str(coreml_folder / "encoder.mlpackage"), skip_model_load=True)
    spec = model.get_spec()
    (image, content_hw) = spec.description.input
    assert image.type.imageType.width == image.type.imageType.height == CANVAS
    assert image.type.imageType.colorSpace == image.type.imageType.RGB
    assert content_hw.name == "content_hw"
    assert spec.description.output[0].name == "image_embedding"
    assert spec.description.output[0].type.multiArrayType.dataType == 65552  # float16
    assert spec.specificationVersion == 7  # iOS 16
    metadata = model.user_defined_metadata
    assert metadata["checkpoint_sha256"]
    assert metadata["canvas"] == str(CANVAS)
    assert model.license == "Apache-2.0"
    decoder = coremltools().models.MLModel(str(coreml_folder / "decoder.mlpackage"), skip_model_load=True).get_spec()
    embedding = decoder.description.input[0]
    assert embedding.type.multiArrayType == spec.description.output[0].type.multiArrayType


@pytest.mark.parametrize(
    ("coords", "labels", "says"),
    [
        ([[1, 2]], [4], "got 4"),
        ([[1, 2]], [2], "one corner of label 2 and one of label 3"),
        ([[1, 2]], [1, 1], "must have shape \\(1,\\)"),
        ([1, 2], [1], "must have shape \\(N, 2\\)"),
        ([[0, 0]] * 17, [1] * 17, "up to 16 points"),
        ([[float("nan"), 0]], [1], "finite"),
    ],
)
def test_wrong_prompts_are_refused_in_a_sentence(coords, labels, says):
    with pytest.raises(PromptError, match=says):
        fill_slots(coords, labels)


def test_wrong_shapes_are_refused_before_the_runtime(coreml_folder):
    decoder = CoreMLDecoder(coreml_folder / "decoder.mlpackage", CANVAS)
    with pytest.raises(PromptError, match="image_embedding must have shape"):
        decoder.decode(np.zeros((1, 256, 64, 64)), [[1, 2]], [1])
    with pytest.raises(PromptError, match="mask_input must have shape"):
        decoder.decode(np.zeros((1, 256, 16, 16)), [[1, 2]], [1], np.zeros((1, 256, 256)))
    encoder = CoreMLEncoder(coreml_folder / "encoder.mlpackage", CANVAS)
    with pytest.raises(ValueError, match="sides up to 256"):
        encoder.encode_content(np.zeros((257, 10, 3), np.uint8))


@pytest.mark.skipif(sys.platform == "darwin", reason="there Core ML itself is asked")
def test_an_unknown_operation_is_named(coreml_folder, tmp_path, monkeypatch):
    from repvit_sam.export.coreml_runtime import mil_interpreter as mil

    shutil.copytree(coreml_folder / "decoder.mlpackage", tmp_path / "decoder.mlpackage")
    monkeypatch.delitem(mil._OPERATIONS, "softmax")
    with pytest.raises(NotImplementedError, match="softmax"):
        CoreMLDecoder(tmp_path / "decoder.mlpackage", CANVAS).decode(np.zeros((1, 256, 16, 16)), [[1, 2]], [1])


@pytest.mark.slow
@pytest.mark.every_export
@pytest.mark.parametrize("canvas", [512, 768, 1024])
@pytest.mark.parametrize("variant", FAMILIES)
def test_every_variant_and_canvas_converts(variant, canvas, coffee, tmp_path):
    torch.manual_seed(0)
    model = repvit_sam.build_repvit_sam(variant, canvas=canvas)
    fit = fit_photo(coffee.shape[:2], canvas)
    content = resize_photo(coffee, fit)
    with torch.no_grad():
        expected = model.image_encoder(torch.from_numpy(normalise_and_pad(content, canvas))).numpy()
    convert_encoder(prepare(model), "fp32", picture=True).save(str(tmp_path / "encoder.mlpackage"))
    found = CoreMLEncoder(tmp_path / "encoder.mlpackage", canvas).encode_content(content, 7)
    assert share(found, expected) < 1e-3
