import numpy as np
import onnx
import pytest
import torch

import repvit_sam
from repvit_sam.backends.onnx_session import open_session
from repvit_sam.canvas import photo_to_canvas, resize_photo
from repvit_sam.errors import ExportError
from repvit_sam.export.onnx import check, write_decoder, write_encoder
from repvit_sam.export.quantize import calibration_photos, to_fp16, to_int8
from repvit_sam.export.traceable import prepare
from repvit_sam.modeling.image_encoder import FAMILIES

from ...conftest import PHOTOS
from ..conftest import CANVAS, CUP

POINT = np.array([[300, 200]])

# onnxruntime-web's WebAssembly runtime has all of opset 17; WebGPU falls back to it. These are known to work in both.
FOR_THE_WEB = {
    "Abs", "Add", "Cast", "Clip", "Concat", "Conv", "ConvTranspose", "Cos", "Div", "Equal", "Erf", "Expand", "Floor",
    "Gather", "Gemm", "LayerNormalization", "MatMul", "Mul", "Reciprocal", "ReduceMax", "ReduceMean", "Relu", "Reshape",
    "Resize", "Shape", "Sin", "Slice", "Softmax", "Sqrt", "Sub", "Transpose", "Unsqueeze", "Where",
}  # fmt: skip


def test_the_decoder_has_segment_anythings_names_and_ops_that_browsers_know(onnx_folder):
    model = onnx.load(str(onnx_folder / "decoder.onnx"))
    assert [one.name for one in model.graph.input] == [
        "image_embeddings",
        "point_coords",
        "point_labels",
        "mask_input",
        "has_mask_input",
        "orig_im_size",
    ]
    assert [one.name for one in model.graph.output] == ["masks", "iou_predictions", "low_res_masks"]
    assert {node.op_type for node in model.graph.node} <= FOR_THE_WEB
    assert model.opset_import[0].version >= 17
    assert {one.key: one.value for one in model.metadata_props}["licence"] == "Apache-2.0"


def test_its_masks_at_photo_size_are_the_predictors(small_photo, onnx_folder):
    """As annotation tools use it: one padding point, SAM's names, masks cut at 0."""
    expected, ious, logits = small_photo.predict(POINT, [1])
    feeds = {
        "image_embeddings": small_photo.features.numpy(),
        "point_coords": np.array([[*small_photo.encoded.fit.coords_to_canvas(POINT), [0, 0]]], dtype=np.float32),
        "point_labels": np.array([[1, -1]], dtype=np.float32),
        "mask_input": np.zeros((1, 1, CANVAS // 4, CANVAS // 4), dtype=np.float32),
        "has_mask_input": np.zeros(1, dtype=np.float32),
        "orig_im_size": np.array([400, 600], dtype=np.float32),
    }
    masks, found_ious, low_res = open_session(onnx_folder / "decoder.onnx").run(
        ["masks", "iou_predictions", "low_res_masks"], feeds
    )
    assert masks.shape == (1, 4, 400, 600)
    assert np.count_nonzero((masks[0, 1:] > 0) != expected) <= 3
    np.testing.assert_allclose(found_ious[0, 1:], ious, atol=1e-4)
    np.testing.assert_allclose(low_res[0, 1:], logits, atol=1e-2)


def test_the_picture_encoder_blanks_its_padding(prepared, small_photo, coffee, tmp_path):
    write_encoder(prepared, tmp_path / "encoder.onnx", picture=True)
    content = resize_photo(coffee, small_photo.encoded.fit)
    image = np.full((1, 3, CANVAS, CANVAS), 77, dtype=np.uint8)
    image[0, :, : content.shape[0]] = content.transpose(2, 0, 1)
    feeds = {"image": image, "content_hw": np.array(content.shape[:2], dtype=np.float32)}
    (found,) = open_session(tmp_path / "encoder.onnx").run(["image_embeddings"], feeds)
    np.testing.assert_allclose(found, small_photo.features.numpy(), atol=1e-3)


def test_the_single_mask_is_chosen_by_sams_rule(prepared, small_photo, tmp_path):
    write_decoder(prepared, tmp_path / "decoder.onnx", single_mask=True)
    session = open_session(tmp_path / "decoder.onnx")
    fit = small_photo.encoded.fit
    feeds = {
        "image_embeddings": small_photo.features.numpy(),
        "mask_input": np.zeros((1, 1, CANVAS // 4, CANVAS // 4), dtype=np.float32),
        "has_mask_input": np.zeros(1, dtype=np.float32),
        "orig_im_size": np.array([400, 600], dtype=np.float32),
    }
    for points, labels, multimask in [([[300, 200]], [1], True), ([[300, 200], [20, 20]], [1, 0], False)]:
        masks, ious, _ = small_photo.predict(points, labels, multimask_output=multimask)
        coords = np.concatenate([fit.coords_to_canvas(np.array(points)), [[0, 0]]])[None].astype(np.float32)
        marks = np.array([[*labels, -1]], dtype=np.float32)
        (found,) = session.run(["masks"], {**feeds, "point_coords": coords, "point_labels": marks})
        assert found.shape == (1, 1, 400, 600)
        assert np.count_nonzero((found[0, 0] > 0) != masks[ious.argmax()]) <= 3


def test_half_precision_is_half_the_size_and_the_same_masks(onnx_folder, small_photo, coffee, tmp_path):
    for part in ("encoder", "decoder"):
        to_fp16(onnx_folder / f"{part}.onnx", tmp_path / f"{part}.onnx")
        check(tmp_path / f"{part}.onnx")
        ratio = (tmp_path / f"{part}.onnx").stat().st_size / (onnx_folder / f"{part}.onnx").stat().st_size
        assert ratio < 0.55
    (tmp_path / "manifest.json").write_bytes((onnx_folder / "manifest.json").read_bytes())
    predictor = repvit_sam.SamPredictor(repvit_sam.load(tmp_path, engine="onnx"))
    predictor.set_image(coffee)
    assert np.abs(predictor.features - small_photo.features.numpy()).max() < 2e-2
    points = {"point_coords": [[300, 200], [20, 20]], "point_labels": [1, 0]}
    mask = {"mask_input": small_photo.predict(box=CUP, multimask_output=False)[2]}
    for prompt in ({"box": CUP}, points, {**points, **mask}):
        expected = small_photo.predict(**prompt, multimask_output=False)[0]
        found = predictor.predict(**prompt, multimask_output=False)[0]
        assert (expected & found).sum() / (expected | found).sum() > 0.99


def test_int8_is_calibrated_on_photographs(onnx_folder, small_photo, coffee, tmp_path):
    seen = []
    photos = calibration_photos(PHOTOS)
    assert len(photos) == 4
    target = tmp_path / "encoder.onnx"
    to_int8(onnx_folder / "encoder.onnx", target, photos, CANVAS, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert target.stat().st_size < 0.5 * (onnx_folder / "encoder.onnx").stat().st_size
    assert not list(onnx_folder.glob("prepared*"))
    (tmp_path / "decoder.onnx").write_bytes((onnx_folder / "decoder.onnx").read_bytes())
    (tmp_path / "manifest.json").write_bytes((onnx_folder / "manifest.json").read_bytes())
    predictor = repvit_sam.SamPredictor(repvit_sam.load(tmp_path, engine="onnx"))
    predictor.set_image(coffee)
    expected = small_photo.predict(box=CUP, multimask_output=False)[0]
    found = predictor.predict(box=CUP, multimask_output=False)[0]
    assert (expected & found).sum() / (expected | found).sum() > 0.9


def test_a_file_that_is_no_onnx_is_named(tmp_path):
    (tmp_path / "encoder.onnx").write_bytes(b"no")
    with pytest.raises(ExportError, match=r"encoder\.onnx is no sound ONNX file"):
        check(tmp_path / "encoder.onnx")


@pytest.mark.slow
@pytest.mark.every_export
@pytest.mark.parametrize("canvas", [512, 768, 1024])
@pytest.mark.parametrize("variant", FAMILIES)
def test_every_variant_and_canvas_is_written(variant, canvas, coffee, tmp_path):
    torch.manual_seed(0)
    model = repvit_sam.build_repvit_sam(variant, canvas=canvas)
    content, _ = photo_to_canvas(coffee, canvas)
    with torch.no_grad():
        expected = model.image_encoder(torch.from_numpy(content)).numpy()
    write_encoder(prepare(model), tmp_path / "encoder.onnx")
    (found,) = open_session(tmp_path / "encoder.onnx").run(["image_embeddings"], {"canvas": content})
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()
