"""One model in several places: copied, pickled, in worker processes and in threads, and exported by torch."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import repvit_sam

from ..conftest import PHOTOS

CUP = [170, 12, 425, 282]
NAMES = ("coffee.jpg", "chelsea.jpg")


@pytest.fixture(scope="module")
def small():
    return repvit_sam.load("small", device="cpu", canvas=256)


@pytest.fixture(scope="module")
def on_openvino(small, tmp_path_factory):
    """The same model on OpenVINO, with a cache of its own."""
    pytest.importorskip("openvino")
    from repvit_sam.backends.model_cache import ModelCache
    from repvit_sam.backends.openvino import OpenVinoBackend

    return OpenVinoBackend(small, cache=ModelCache(tmp_path_factory.mktemp("converted")))


def predictor_of(model, photo):
    predictor = repvit_sam.SamPredictor(model)
    predictor.set_image(photo)
    return predictor


def cup(predictor):
    return predictor.predict(box=CUP, multimask_output=False)[0]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])
@pytest.mark.parametrize("engine", ["small", "on_openvino"])
def test_a_copy_predicts_the_same_and_keeps_its_own_photo(engine, copied, coffee, request):
    """After a prediction, when decoders and what belongs to the photo are made already."""
    predictor = predictor_of(request.getfixturevalue(engine), coffee)
    expected = cup(predictor)
    other = copied(predictor)
    np.testing.assert_array_equal(cup(other), expected)
    other.set_image(PHOTOS / "chelsea.jpg")
    assert predictor.original_size == (400, 600)
    np.testing.assert_array_equal(cup(predictor), expected)


def test_a_pickle_holds_the_weights_once(small, coffee):
    predictor = predictor_of(small, coffee)
    cup(predictor)
    photo_and_embedding = coffee.nbytes + predictor.features.numel() * 4
    assert len(pickle.dumps(predictor)) < len(pickle.dumps(small)) + photo_and_embedding + 50_000


class MaskAreas(Dataset):
    """A data set that segments its photos itself, in the worker."""

    def __init__(self, model):
        self.model = model

    def __len__(self):
        return len(NAMES)

    def __getitem__(self, index):
        predictor = predictor_of(self.model, PHOTOS / NAMES[index])
        return int(predictor.predict([[200, 150]], [1])[0].sum())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["small", "on_openvino"])
def test_workers_of_a_data_loader_segment(engine, request):
    """The model is pickled into a worker; here it goes on as before."""
    areas = MaskAreas(request.getfixturevalue(engine))
    expected = list(areas)
    loader = DataLoader(areas, batch_size=None, num_workers=1, multiprocessing_context="spawn", timeout=120)
    assert list(loader) == expected
    assert list(areas) == expected


def four_prompts(model, photo):
    predictor = predictor_of(model, photo)
    height, width = photo.shape[:2]
    return [
        predictor.predict([[width * part, height * part]], [1], refine=part == 0.5)[0] for part in (0.2, 0.4, 0.5, 0.8)
    ]


@pytest.mark.parametrize("engine", ["small", "on_openvino"])
def test_threads_with_a_predictor_each_share_a_model(engine, coffee, request):
    """Photos are encoded and prompts decoded at the same time, and give the masks that they give alone."""
    model = request.getfixturevalue(engine)
    photos = [coffee, np.ascontiguousarray(coffee[:, ::-1]), np.ascontiguousarray(coffee[:300, :300])]
    alone = [four_prompts(model, photo) for photo in photos]
    fresh = copy.deepcopy(model)  # its decoder is made by whichever thread comes first
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda photo: four_prompts(fresh, photo), photos * 2))
    for found, expected in zip(together, alone * 2, strict=True):
        for ours, its in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, its)


def test_torch_export_takes_the_encoder_with_an_open_batch(small):
    batch = torch.export.Dim("batch", max=64)
    exported = torch.export.export(small.image_encoder, (torch.zeros(2, 3, 256, 256),), dynamic_shapes=({0: batch},))
    canvases = torch.randn(3, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(exported.module()(canvases), small.image_encoder(canvases), atol=1e-4, rtol=0)


def test_torch_export_takes_the_decoder_with_open_prompts_and_points(small):
    from repvit_sam.export.traceable import PromptDecoder, prepare

    decoder = PromptDecoder(prepare(small), empty_slots=False).eval()
    random = torch.Generator().manual_seed(0)

    def inputs(prompts, points):
        coords = torch.rand(prompts, points, 2, generator=random) * 256
        embedding = torch.randn(1, 256, 16, 16, generator=random)
        return embedding, coords, torch.ones(prompts, points), torch.zeros(1, 1, 64, 64), torch.zeros(1)

    axes = {0: torch.export.Dim("prompts", min=1), 1: torch.export.Dim("points", min=1)}
    exported = torch.export.export(decoder, inputs(2, 3), dynamic_shapes=(None, axes, axes, None, None))
    others = inputs(5, 4)
    with torch.no_grad():
        for found, expected in zip(exported.module()(*others), decoder(*others), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
