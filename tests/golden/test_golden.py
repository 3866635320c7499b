"""Weights by rule in the published layout -> this project's reader and model -> the published code's numbers."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from repvit_sam.build import build_repvit_sam
from repvit_sam.canvas import fit_photo, normalise_and_pad, photo_to_canvas, resize_photo
from repvit_sam.checkpoints import read_checkpoint
from repvit_sam.photo import read_photo
from repvit_sam.predictor import SamPredictor

from . import rule

HERE = Path(__file__).parent
MASK_PIXELS_THAT_MAY_DIFFER = 8  # of 68,929


@pytest.fixture(scope="module")
def golden():
    with np.load(HERE / "golden.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def meta(golden):
    return json.loads(str(golden["meta"]))


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory, meta):
    weights = rule.fill_from_json(HERE / "keys.json")
    assert rule.fingerprint(weights) == meta["weights_sha256"]
    path = tmp_path_factory.mktemp("golden") / "repvit_sam.pt"
    torch.save({key: torch.from_numpy(value) for key, value in weights.items()}, path)
    return path


@pytest.fixture(scope="module")
def model(checkpoint_path):
    return build_repvit_sam("repvit_m2_3", checkpoint=checkpoint_path)


@pytest.fixture(scope="module")
def photo():
    return read_photo(HERE / "image.png")


@pytest.fixture(scope="module")
def predictor_and_stages(model, photo):
    """A predictor with the photo set, and the output of each stage of the encoder on the way, by its published name."""
    taken = {}

    def keep(name):
        return lambda module, inputs, output: taken.__setitem__(name, output.numpy())

    body = model.image_encoder.body
    rows = [body.stem]
    for index, stage in enumerate(body.stages):
        if index:
            rows += [stage.downsample.pre_block, stage.downsample]
        rows += list(stage.blocks)
    modules = {f"features.{n}": row for n, row in enumerate(rows)}
    modules |= {f"neck.{n}": layer for n, layer in enumerate(model.image_encoder.neck)}
    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    predictor = SamPredictor(model)
    predictor.set_image(photo)
    for handle in handles:
        handle.remove()
    return predictor, taken


@pytest.fixture(scope="module")
def predictor(predictor_and_stages):
    return predictor_and_stages[0]


def formula_picture():
    y, x, c = np.mgrid[0:1100, 0:1500, 0:3].astype(np.int64)
    return ((3 * x + 5 * y + 50 * c + (x * y) // 700) % 256).astype(np.uint8)


def formula_mask():
    y, x = np.mgrid[0:256, 0:256].astype(np.float32)
    return ((x - 128) * (y - 100) / 1024)[None]


def test_all_1598_published_keys_are_read(checkpoint_path, model):
    checkpoint = read_checkpoint(checkpoint_path)
    assert len(checkpoint.state) == 1598
    assert set(checkpoint.state) == set(model.state_dict())


@pytest.mark.parametrize(("name", "make"), [("", None), ("downscaled_", formula_picture)])
def test_resizing_equals_the_published_code(golden, photo, name, make):
    picture = photo if make is None else make()
    resized = resize_photo(picture, fit_photo(picture.shape[:2]))
    prefix = f"pre/{name}" if name else "pre/resized_"
    assert tuple(golden[f"{prefix}shape"]) == resized.shape
    np.testing.assert_array_equal(golden[f"{prefix}channel_sums"], resized.astype(np.int64).sum((0, 1)))
    np.testing.assert_array_equal(golden[f"{prefix}sample"], resized[::32, ::32])


def test_the_canvas_equals_the_published_input(golden, photo):
    canvas, _ = photo_to_canvas(photo)
    assert canvas.shape == tuple(golden["pre/tensor_shape"])
    np.testing.assert_allclose(canvas[:, :, ::32, ::32], golden["pre/tensor_sample"], atol=1e-6, rtol=0)


def test_every_stage_of_the_encoder_equals_the_published_one(golden, predictor_and_stages):
    _, stages = predictor_and_stages
    assert list(stages) == golden["encoder/names"].tolist()
    for name, shape, places, values in zip(
        stages, golden["encoder/shapes"], golden["encoder/places"], golden["encoder/values"], strict=True
    ):
        assert stages[name].shape == tuple(shape)
        np.testing.assert_allclose(stages[name].ravel()[places], values, atol=1e-4, rtol=0, err_msg=name)


def test_the_embedding_and_positional_grid_equal_the_published_ones(golden, predictor):
    embedding = predictor.get_image_embedding().numpy()
    np.testing.assert_allclose(embedding[:, ::8, ::8, ::8], golden["embedding/sample"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(embedding.ravel()[golden["embedding/places"]], golden["embedding/values"], atol=1e-4)
    with torch.no_grad():
        grid = predictor.model.prompt_encoder.get_dense_pe().numpy()
    np.testing.assert_allclose(grid[:, ::16, ::8, ::8], golden["dense_pe/sample"], atol=1e-5, rtol=0)


def test_norms_have_the_published_epsilons(model):
    from segment_anything.modeling.common import LayerNorm2d

    epsilons = {LayerNorm2d: 1e-6, torch.nn.LayerNorm: 1e-5, torch.nn.BatchNorm2d: 1e-5}
    for module in model.modules():
        if type(module) in epsilons:
            assert module.eps == epsilons[type(module)], type(module)


def assert_case(golden, name, masks_logits, iou, low_res, photo):
    np.testing.assert_allclose(iou, golden[f"case/{name}/iou"], atol=2e-5, rtol=0)
    np.testing.assert_allclose(low_res[..., ::8, ::8], golden[f"case/{name}/low_res_sample"], atol=3e-4, rtol=0)
    np.testing.assert_allclose(masks_logits[..., ::16, ::16], golden[f"case/{name}/logits_sample"], atol=3e-4, rtol=0)
    pixels = photo.shape[0] * photo.shape[1]
    expected = np.unpackbits(golden[f"case/{name}/mask_bits"], axis=-1, count=pixels).astype(bool)
    found = (masks_logits > 0).reshape(expected.shape)
    assert (expected != found).sum(-1).max() <= MASK_PIXELS_THAT_MAY_DIFFER


CASES = [
    *("point_multi", "point_single", "two_points_multi", "two_points_single"),
    *("box_multi", "box_single", "box_point_multi", "box_point_single"),
    *("feedback_multi", "feedback_single", "mask_box_single", "mask_only_multi", "nothing_multi"),
]


@pytest.mark.parametrize("name", CASES)
def test_predict_equals_the_published_predictor(golden, meta, predictor, photo, name):
    case = meta["cases"][name]
    mask = {None: None, "feedback": golden["feedback_mask_input"], "formula": formula_mask()}[case.get("mask")]
    result = predictor.predict(
        case.get("points"), case.get("labels"), case.get("box"), mask, case["multimask"], return_logits=True
    )
    assert_case(golden, name, *result, photo)


@pytest.mark.parametrize("name", ["batch_boxes_multi", "batch_boxes_single", "batch_points_multi"])
def test_a_batch_in_one_call_equals_the_published_predict_torch(golden, meta, predictor, photo, name):
    case = meta["batches"][name]
    result = predictor.predict(
        case.get("points"), case.get("labels"), case.get("boxes"), None, case["multimask"], return_logits=True
    )
    assert_case(golden, name, *result, photo)


def test_forward_of_the_whole_model_equals_the_published_forward(golden, meta, model, photo):
    content = resize_photo(photo, fit_photo(photo.shape[:2]))
    boxes = torch.tensor(meta["batches"]["batch_boxes_single"]["boxes"], dtype=torch.float)
    record = {
        "image": torch.as_tensor(content).permute(2, 0, 1),
        "original_size": photo.shape[:2],
        "boxes": SamPredictor(model).transform.apply_boxes_torch(boxes, photo.shape[:2]),
    }
    whole = model([record], multimask_output=False)[0]
    areas = whole["masks"].sum((-2, -1)).numpy()
    assert np.abs(areas - golden["forward/areas"]).max() <= MASK_PIXELS_THAT_MAY_DIFFER
    low_res = whole["low_res_logits"].numpy()[..., ::8, ::8]
    np.testing.assert_allclose(low_res, golden["forward/low_res_sample"], atol=3e-4, rtol=0)


def test_the_fused_model_gives_the_same_values(golden, model, photo):
    predictor = SamPredictor(copy.deepcopy(model).fuse())
    predictor.set_image(photo)
    embedding = predictor.get_image_embedding().numpy()
    np.testing.assert_allclose(embedding[:, ::8, ::8, ::8], golden["embedding/sample"], atol=1e-4, rtol=0)
    result = predictor.predict(box=[60, 40, 220, 180], multimask_output=False, return_logits=True)
    assert_case(golden, "box_single", *result, photo)


def test_normalising_comes_before_padding(photo):
    canvas = normalise_and_pad(np.asarray(Image.fromarray(photo).resize((1024, 779))), 1024)
    assert not canvas[:, :, 779:].any()
