from functools import partial

import numpy as np

import repvit_sam
from repvit_sam.calibration import calibration_photos
from repvit_sam.canvas import resize_photo
from repvit_sam.export.coreml_runtime.model import CoreMLEncoder
from repvit_sam.export.encoder_input import CANVAS as OWN_CANVAS
from repvit_sam.export.encoder_input import feeds_of
from repvit_sam.export.libraries import import_coremltools
from repvit_sam.export.onnx import check_onnx_file
from repvit_sam.export.quantize import palette, quantize_coreml_weights, to_fp16, to_int8

from ...conftest import PHOTOS
from ..conftest import CANVAS, CUP


def test_half_precision_is_half_the_size_and_the_same_masks(onnx_folder, small_photo, coffee, tmp_path):
    for part in ("encoder", "decoder"):
        to_fp16(onnx_folder / f"{part}.onnx", tmp_path / f"{part}.onnx")
        check_onnx_file(tmp_path / f"{part}.onnx")
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
    to_int8(
        onnx_folder / "encoder.onnx",
        target,
        photos,
        partial(feeds_of, encoder_input=OWN_CANVAS, canvas_size=CANVAS),
        lambda done, total: seen.append((done, total)),
    )
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


def test_weights_of_8_bits_halve_the_package(coreml_folder, small_photo, coffee, tmp_path):
    fp16 = coreml_folder / "encoder.mlpackage"
    half = import_coremltools().models.MLModel(str(fp16), skip_model_load=True)
    for precision, max_difference in (("palette8", 0.03), ("linear8", 0.02)):
        package = tmp_path / f"{precision}.mlpackage"
        quantize_coreml_weights(half, precision).save(str(package))
        assert size(package) < 0.6 * size(fp16)
        embedding = CoreMLEncoder(package, CANVAS).encode_content(resize_photo(coffee, small_photo.encoded.fit))
        assert relative_difference(embedding, small_photo.features.numpy()) < max_difference, precision


def relative_difference(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def size(package):
    return sum(file.stat().st_size for file in package.rglob("*") if file.is_file())


def test_the_palette_stands_for_every_number():
    weight = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)
    values, indices = palette(weight)
    assert len(values) == 256
    error = np.abs(values[indices].reshape(weight.shape) - weight)
    evenly_spaced = (weight.max() - weight.min()) / 255 / np.sqrt(12)  # root mean square
    assert np.sqrt((error**2).mean()) < 0.7 * evenly_spaced
