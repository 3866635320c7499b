"""samexporter's and osam's own ONNX runners on our exported pairs (labelme runs osam).

Neither is installed for development (samexporter pins torch and OpenCV; both are for this one test): the tests run
where they are, ``pip install --no-deps samexporter ftfy regex`` and ``pip install osam``.
"""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import repvit_sam
from repvit_sam.cli import app

from ..conftest import PHOTOS

CUP = [170, 12, 425, 282]
POINT = [300, 200]

pytestmark = pytest.mark.slow


def export(folder, *options):
    result = CliRunner().invoke(app, ["export", "onnx", "--checkpoint", "small", "--out", str(folder), *options])
    assert result.exit_code == 0, result.stderr
    return str(folder / "encoder.onnx"), str(folder / "decoder.onnx")


@pytest.fixture(scope="module")
def predictor():
    predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu"))
    predictor.set_image(PHOTOS / "coffee.jpg")
    return predictor


def expected_mask(predictor, kind):
    if kind == "rectangle":
        return predictor.predict(box=CUP, multimask_output=False)[0][0]
    masks, ious, _ = predictor.predict([POINT], [1])
    return masks[ious.argmax()]


def test_samexporter_shows_the_predictors_masks(predictor, coffee, tmp_path):
    runner = pytest.importorskip("samexporter.sam_onnx")
    model = runner.SegmentAnythingONNX(*export(tmp_path, "--convention", "samexporter"))
    embedding = model.encode(np.ascontiguousarray(coffee[..., ::-1]))  # BGR
    for kind, data in (("point", POINT), ("rectangle", CUP)):
        found = model.predict_masks(embedding, [{"type": kind, "data": data, "label": 1}])
        assert found.shape == (1, 1, *coffee.shape[:2])
        assert np.count_nonzero((found[0, 0] > 0) != expected_mask(predictor, kind)) <= 10


def test_samexporter_takes_the_default_pair_too(predictor, coffee, tmp_path):
    """All four masks come back; a box has a padding point beside it, so its mask is another."""
    runner = pytest.importorskip("samexporter.sam_onnx")
    model = runner.SegmentAnythingONNX(*export(tmp_path))
    embedding = model.encode(np.ascontiguousarray(coffee[..., ::-1]))
    found = model.predict_masks(embedding, [{"type": "point", "data": POINT, "label": 1}])
    assert np.count_nonzero((found[0, 1:] > 0) != predictor.predict([POINT], [1])[0]) <= 30


def test_osam_shows_the_predictors_masks(predictor, coffee, tmp_path, monkeypatch):
    osam = pytest.importorskip("osam")
    monkeypatch.setenv("HOME", str(tmp_path))  # where osam looks for files

    def blob(path):
        hashed = osam.types.Blob(
            url=Path(path).as_uri(), hash=f"sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
        )
        Path(hashed.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, hashed.path)
        return hashed

    encoder, decoder = export(tmp_path / "pair", "--convention", "osam")

    class RepViTSam(osam.apis.get_model_type_by_name("sam:100m").__base__):
        name = "repvit-sam:latest"
        _blobs = {"encoder": blob(encoder), "decoder": blob(decoder)}  # noqa: RUF012

    monkeypatch.setattr(osam.apis, "registered_model_types", [RepViTSam])
    for kind, points, labels in (("point", [POINT], [1]), ("rectangle", [CUP[:2], CUP[2:]], [2, 3])):
        prompt = osam.types.Prompt(points=np.array(points, dtype=np.float32), point_labels=np.array(labels))
        request = osam.types.GenerateRequest(model="repvit-sam", image=coffee, prompt=prompt)
        (found,) = osam.apis.generate(request).annotations
        box, mask = found.bounding_box, np.zeros(coffee.shape[:2], dtype=bool)
        mask[box.ymin : box.ymax + 1, box.xmin : box.xmax + 1] = found.mask
        assert np.count_nonzero(mask != expected_mask(predictor, kind)) <= 10
