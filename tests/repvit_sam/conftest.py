"""The small RepViT on a small canvas, and what it was exported to, made once."""

import pytest

import repvit_sam
from repvit_sam.export import Wish, export_coreml, export_onnx
from repvit_sam.export.networks import prepare

CANVAS = 256


@pytest.fixture(scope="session")
def small():
    return repvit_sam.load("small", device="cpu", canvas=CANVAS)


@pytest.fixture(scope="session")
def prepared(small):
    return prepare(small)


@pytest.fixture(scope="session")
def small_photo(small, coffee):
    predictor = repvit_sam.SamPredictor(small)
    predictor.set_image(coffee)
    return predictor


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    export_onnx(Wish(checkpoint="small", out=folder, precision="fp32", canvas=CANVAS))
    return folder


@pytest.fixture(scope="session")
def coreml_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coreml")
    export_coreml(Wish(checkpoint="small", out=folder, precision="fp16", canvas=CANVAS))
    return folder
