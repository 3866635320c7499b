import numpy as np
import onnx
import pytest
import torch

import repvit_sam
from repvit_sam.backends.onnx_session import open_session
from repvit_sam.canvas import photo_to_canvas, resize_photo
from repvit_sam.errors import ExportError
from repvit_sam.export.onnx import check_onnx_file, write_encoder
from repvit_sam.export.traceable import prepare
from repvit_sam.modeling.image_encoder import TIMM_ENCODERS

from ..conftest import CANVAS

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


def test_the_picture_encoder_blanks_its_padding(onnx_picture_folder, small_photo, coffee):
    content = resize_photo(coffee, small_photo.encoded.fit)
    image = np.full((1, 3, CANVAS, CANVAS), 77, dtype=np.uint8)
    image[0, :, : content.shape[0]] = content.transpose(2, 0, 1)
    feeds = {"image": image, "content_hw": np.array(content.shape[:2], dtype=np.float32)}
    (found,) = open_session(onnx_picture_folder / "encoder.onnx").run(["image_embeddings"], feeds)
    np.testing.assert_allclose(found, small_photo.features.numpy(), atol=1e-3)


def test_the_single_mask_is_chosen_by_sams_rule(onnx_picture_folder, small_photo):
    session = open_session(onnx_picture_folder / "decoder.onnx")
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


def test_a_file_that_is_no_onnx_is_named(tmp_path):
    (tmp_path / "encoder.onnx").write_bytes(b"no")
    with pytest.raises(ExportError, match=r"encoder\.onnx is not a valid ONNX file"):
        check_onnx_file(tmp_path / "encoder.onnx")


@pytest.mark.every_export
@pytest.mark.parametrize("canvas", [512, 768, 1024])
@pytest.mark.parametrize("variant", TIMM_ENCODERS)
def test_every_variant_and_canvas_is_written(variant, canvas, coffee, tmp_path):
    torch.manual_seed(0)
    model = repvit_sam.build_repvit_sam(variant, canvas=canvas)
    content, _ = photo_to_canvas(coffee, canvas)
    with torch.no_grad():
        expected = model.image_encoder(torch.from_numpy(content)).numpy()
    write_encoder(prepare(model), tmp_path / "encoder.onnx")
    (found,) = open_session(tmp_path / "encoder.onnx").run(["image_embeddings"], {"canvas": content})
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()
