"""The small RepViT on a small canvas and its exports, made once; prompts and masks that several tests use."""

import os
import tempfile

import numpy as np
import pytest

import repvit_sam
from repvit_sam.export import ExportConfig, export_coreml, export_onnx
from repvit_sam.export.traceable import prepare

from .tiny_detectors import save_grounding_dino, save_owl

CANVAS = 256

# on coffee.jpg, in its pixels: the cup, the saucer and the table
CUP = [170, 12, 425, 282]
_POINTS = [
    [300, 60],
    [30, 30],
    [250, 180],
    [200, 80],
    [560, 380],
    [390, 100],
    [300, 130],
    [20, 200],
    [350, 200],
    [590, 20],
]
_LABELS = [1, 0, 1, 1, 0, 1, 1, 0, 1, 0]
PROMPTS = {
    "one point": {"point_coords": _POINTS[:1], "point_labels": _LABELS[:1]},
    "two points": {"point_coords": _POINTS[:2], "point_labels": _LABELS[:2]},
    "five points": {"point_coords": _POINTS[:5], "point_labels": _LABELS[:5]},
    "ten points": {"point_coords": _POINTS, "point_labels": _LABELS},
    "a box": {"box": CUP},
    "a box and two points": {"box": CUP, "point_coords": _POINTS[:2], "point_labels": _LABELS[:2]},
    "a mask": {"mask_input": True},
    # not two: the model rates its mask 0.41 there, and rounding to fp16 moves it
    "a mask and three points": {"mask_input": True, "point_coords": _POINTS[:3], "point_labels": _LABELS[:3]},
}

MASKS = {
    "empty": np.zeros((4, 5), bool),
    "full": np.ones((4, 5), bool),
    "noise": np.random.default_rng(0).random((13, 17)) > 0.5,
    "first column": np.array([[1, 0], [1, 0]], bool),
    "last column": np.array([[0, 1], [0, 1]], bool),
    "one pixel": np.pad(np.ones((1, 1), bool), 3),
}
each_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


@pytest.fixture(scope="session")
def small():
    return repvit_sam.load("small", device="cpu", canvas=CANVAS)


@pytest.fixture(scope="module")
def ray_here():
    """Ray with two cores on this machine, in a temporary folder with a short name, reporting to nobody."""
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error", _temp_dir=folder)
        yield ray
        ray.shutdown()


@pytest.fixture(scope="session")
def unfused():
    """The bundled TinyViT as ``model`` has it, but not fused."""
    return repvit_sam.load("tinyvit_sam", device="cpu", fuse=False)


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
    export_onnx(ExportConfig(checkpoint="small", out=folder, precision="fp32", canvas=CANVAS))
    return folder


@pytest.fixture(scope="session")
def coreml_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coreml")
    export_coreml(ExportConfig(checkpoint="small", out=folder, precision="fp16", canvas=CANVAS))
    return folder


@pytest.fixture(scope="session")
def grounding_dino_folder(tmp_path_factory):
    return save_grounding_dino(tmp_path_factory.mktemp("detectors") / "grounding-dino")


@pytest.fixture(scope="session")
def owlv2_folder(tmp_path_factory):
    return save_owl(tmp_path_factory.mktemp("detectors") / "owlv2", "Owlv2")


@pytest.fixture(params=PROMPTS)
def prompt(request, small_photo):
    """Every kind of prompt, as arguments of `predict`; the mask is the prediction for a box."""
    prompt = dict(PROMPTS[request.param])
    if prompt.pop("mask_input", False):
        prompt["mask_input"] = small_photo.predict(box=CUP, multimask_output=False)[2]
    return prompt
