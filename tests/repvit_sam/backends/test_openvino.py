"""OpenVINO as a backend. Most tests use a tiny encoder, which is converted in no time; one uses the real ``small``."""

import copy
import logging
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn

import repvit_sam
from repvit_sam.backends.choice import native_bf16_on_cpu
from repvit_sam.backends.model_cache import ModelCache
from repvit_sam.errors import RepVitSamError
from repvit_sam.masks import ALL_MASKS
from repvit_sam.modeling.sam import SamModel
from repvit_sam.processes import fresh_processes
from repvit_sam.prompts import CanvasPrompts

from ..conftest import CUP

pytest.importorskip("openvino")

CANVAS = 128
needs_bf16 = pytest.mark.skipif(not native_bf16_on_cpu(), reason="this processor has no bf16 of its own")


class TinyEncoder(nn.Module):
    """Patches -> embedding, with enough layers to quantize one."""

    def __init__(self, canvas):
        super().__init__()
        self.img_size = canvas
        layers = [nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Conv2d(8, 8, 4, 4), nn.Conv2d(8, 256, 1))

    def forward(self, canvas):
        return self.body(canvas)


def tiny_model(canvas=CANVAS):
    torch.manual_seed(0)
    whole = repvit_sam.build_repvit_sam("repvit_m0_9", canvas=canvas)
    return SamModel("tiny", TinyEncoder(canvas), whole.prompt_encoder, whole.mask_decoder).eval()


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


@pytest.fixture(scope="module")
def canvases():
    return np.random.default_rng(0).normal(size=(3, 3, CANVAS, CANVAS)).astype(np.float32)


@pytest.fixture
def cache(tmp_path):
    return ModelCache(tmp_path / "converted")


@pytest.fixture
def converted(caplog):
    """How many models were converted in this test."""
    caplog.set_level(logging.INFO, "repvit_sam")
    return lambda: caplog.text.count("converting tiny for OpenVINO")


def backend_of(*arguments, **options):
    from repvit_sam.backends.openvino import OpenVinoBackend  # after importorskip

    return OpenVinoBackend(*arguments, **options)


def expected_of(model, canvas):
    with torch.no_grad():
        return model.image_encoder(torch.from_numpy(canvas))


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16)])
def test_embeddings_equal_pytorchs(tiny, cache, canvases, precision):
    backend = backend_of(tiny, precision, cache=cache)
    found, expected = backend.encode(canvases[:1]), expected_of(tiny, canvases[:1])
    assert (found.dtype, found.shape) == (torch.float32, (1, 256, 8, 8))
    assert (found - expected).abs().max() < {"fp32": 1e-5, "bf16": 0.02}[precision]
    assert backend.label == f"OpenVINO {precision}"
    assert (backend.canvas_size, backend.device.type) == (CANVAS, "cpu")


def test_a_converted_encoder_has_weights_of_its_own(cache, canvases):
    """PyTorch frees or moves the model's when it is sent to another process, or to another device."""
    model = tiny_model()
    backend = backend_of(model, cache=cache)
    expected = backend.encode(canvases[:1])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    assert torch.equal(backend.encode(canvases[:1]), expected)


def test_a_pickle_is_made_again_from_the_cache(tiny, cache, canvases, converted):
    backend = backend_of(tiny, cache=cache)
    for other in (pickle.loads(pickle.dumps(backend)), copy.deepcopy(backend)):
        assert torch.equal(other.encode(canvases[:1]), backend.encode(canvases[:1]))
    assert converted() == 1


def test_an_embedding_is_not_overwritten_by_the_next(tiny, cache, canvases):
    backend = backend_of(tiny, cache=cache)
    first = backend.encode(canvases[:1])
    kept = first.clone()
    backend.encode(canvases[1:2])
    assert torch.equal(first, kept)


def test_several_canvases_are_taken_and_other_shapes_refused(tiny, cache, canvases):
    backend = backend_of(tiny, cache=cache)
    assert torch.allclose(backend.encode(canvases), expected_of(tiny, canvases), atol=1e-5)
    with pytest.raises(ValueError, match=r"a canvas must have shape \(B, 3, 128, 128\), got \(1, 3, 64, 64\)"):
        backend.encode(np.zeros((1, 3, 64, 64), np.float32))


def test_pytorch_decodes_and_the_fingerprint_is_the_checkpoints(tiny, cache, canvases):
    backend, torchs = backend_of(tiny, cache=cache), repvit_sam.backends.as_backend(tiny)
    assert backend.fingerprint() == torchs.fingerprint()
    assert backend.torch_model is tiny
    prompts = CanvasPrompts(boxes=np.array([[10.0, 10.0, 90.0, 80.0]]))
    embedding = torchs.encode(canvases[:1])
    found, expected = (one.decode(embedding, prompts, ALL_MASKS)[0] for one in (backend, torchs))
    assert torch.equal(found, expected)


def test_int8_is_calibrated_and_kept_apart_from_fp32(tiny, cache, canvases, coffee):
    pytest.importorskip("nncf")
    found = backend_of(tiny, "int8", cache=cache).encode(canvases[:1])
    assert found.dtype == torch.float32
    assert (found - expected_of(tiny, canvases[:1])).abs().mean() < 0.1 * found.abs().mean()
    names = [entry.name for entry in cache.entries()]
    backend_of(tiny, "fp32", cache=cache)
    assert len(cache.entries()) == 2
    assert names[0].startswith("openvino-tiny-128-int8-")


def test_other_photographs_are_another_calibration(tiny, cache):
    pytest.importorskip("nncf")
    for name in ("coffee", "rocket"):
        backend_of(tiny, "int8", calibration=[repvit_sam.example_photo(name)], cache=cache)
    assert len(cache.entries()) == 2


@needs_bf16
def test_fp32_and_bf16_share_one_conversion(tiny, cache, converted):
    backend_of(tiny, "fp32", cache=cache)
    backend_of(tiny, "bf16", cache=cache)
    assert converted() == 1


def test_another_encoder_and_another_canvas_are_other_entries(tiny, cache, converted):
    backend_of(tiny, cache=cache)
    backend_of(tiny_model(canvas=64), cache=cache)
    changed = tiny_model()
    with torch.no_grad():
        changed.image_encoder.body[0].bias += 1
    backend_of(changed, cache=cache)
    assert converted() == 3


def test_a_damaged_entry_is_converted_again(tiny, cache, canvases, converted):
    backend_of(tiny, cache=cache)
    (entry,) = cache.entries()
    (entry.path / "encoder.bin").write_bytes(b"not weights")
    backend = backend_of(tiny, cache=cache)
    assert converted() == 2
    assert torch.allclose(backend.encode(canvases[:1]), expected_of(tiny, canvases[:1]), atol=1e-5)
    backend_of(tiny, cache=cache)
    assert converted() == 2


def test_a_folder_that_cannot_be_written_costs_one_sentence(tiny, tmp_path, canvases, converted, caplog):
    (tmp_path / "file").touch()  # root may write into any folder, but not below a file
    backend = backend_of(tiny, cache=ModelCache(tmp_path / "file"))
    assert torch.allclose(backend.encode(canvases[:1]), expected_of(tiny, canvases[:1]), atol=1e-5)
    assert converted() == 1
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "the converted model cannot be kept, each start converts it again" in warning.getMessage()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_costs_one_sentence(tiny, cache, canvases, converted, caplog):
    import resource  # POSIX only

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        backend = backend_of(tiny, cache=cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert torch.allclose(backend.encode(canvases[:1]), expected_of(tiny, canvases[:1]), atol=1e-5)
    assert converted() == 1
    assert "cannot be kept" in caplog.text
    assert cache.entries() == []


def convert_in_a_process(folder, started):
    started.wait()
    backend_of(tiny_model(), cache=ModelCache(folder)).encode(np.zeros((1, 3, CANVAS, CANVAS), np.float32))


def free_in_a_thread_and_signal(folder):
    backends = [backend_of(tiny_model(), cache=ModelCache(folder))]
    thread = threading.Thread(target=backends.clear)
    thread.start()
    thread.join()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.skipif(sys.platform != "linux", reason="OpenVINO changes the stack of signals on Linux")
def test_a_signal_is_handled_after_another_thread_has_freed_the_last_model(cache):
    process = fresh_processes().Process(target=free_in_a_thread_and_signal, args=(cache.folder,))
    process.start()
    process.join(120)
    assert process.exitcode == 7


@pytest.mark.slow
def test_two_processes_at_once_convert_once(tiny, cache, converted, monkeypatch):
    """This process and another; what a process converts ends as an entry, whose time tells who made it."""
    context = multiprocessing.get_context("spawn")
    started = context.Barrier(2)
    process = context.Process(target=convert_in_a_process, args=(cache.folder, started))
    process.start()
    started.wait()
    backend_of(tiny, cache=cache)
    (entry,) = cache.entries()
    made = (entry.path / "encoder.bin").stat()
    process.join(120)
    assert process.exitcode == 0
    (entry,) = cache.entries()
    after = (entry.path / "encoder.bin").stat()
    assert (after.st_ino, after.st_mtime_ns) == (made.st_ino, made.st_mtime_ns)
    assert converted() <= 1


def test_an_encoder_that_cannot_be_converted_is_named(cache):
    class Strange(nn.Module):
        img_size = 64

        def forward(self, canvas):
            return torch.linalg.eigvals(canvas).real  # OpenVINO has no such operation

    model = tiny_model(64)
    model.image_encoder = Strange()
    with pytest.raises(RepVitSamError, match=r"cannot convert this image encoder: .*linalg_eigvals"):
        backend_of(model, cache=cache)
    assert cache.entries() == []


@pytest.fixture
def no_openvino(monkeypatch):
    """A machine without OpenVINO: its import fails. The real thing would need another environment."""
    monkeypatch.setitem(sys.modules, "openvino", None)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REPVIT_SAM_CACHE", str(tmp_path))
    return ModelCache()


def test_without_openvino_it_is_named_and_auto_takes_pytorch(no_openvino, own_cache, caplog):
    with pytest.raises(RepVitSamError, match=r"needs OpenVINO .*: pip install 'repvit-sam\[openvino\]'"):
        repvit_sam.load("small", canvas=64, engine="openvino")
    with pytest.raises(ValueError, match="needs OpenVINO: pip install"):
        repvit_sam.load("small", "cpu", canvas=64, engine="auto", precision="int8")
    with caplog.at_level(logging.INFO, "repvit_sam"):
        backend = repvit_sam.load("small", "cpu", canvas=64, engine="auto")
    assert backend.label == ("PyTorch bf16" if native_bf16_on_cpu() else "PyTorch fp32")
    assert "OpenVINO is not installed" in caplog.text


def test_an_openvino_that_is_broken_costs_auto_one_sentence(own_cache, monkeypatch, caplog):
    from repvit_sam.backends import openvino_convert

    def broken(*_):
        raise ImportError("libopenvino.so: cannot open shared object file")

    monkeypatch.setattr(openvino_convert, "convert_encoder", broken)
    monkeypatch.setattr("repvit_sam.backends.openvino.convert_encoder", broken)
    assert repvit_sam.load("small", "cpu", canvas=64, engine="auto").label.startswith("PyTorch")
    assert "OpenVINO cannot be used, PyTorch computes instead: libopenvino.so" in caplog.text
    with pytest.raises(ImportError):
        repvit_sam.load("small", "cpu", canvas=64, engine="openvino")


def test_the_real_small_gives_pytorchs_masks_and_runs_everywhere(small, small_photo, coffee, own_cache):
    """One conversion of the real network: predictor, saved embeddings, everything mode."""
    model = repvit_sam.load("small", "cpu", canvas=small.canvas_size, engine="openvino", precision="fp32")
    predictor = repvit_sam.SamPredictor(model)
    predictor.set_image(coffee)
    assert (predictor.features - small_photo.features).abs().max() < 1e-3
    found, expected = (one.predict(box=CUP, multimask_output=False)[0] for one in (predictor, small_photo))
    assert np.count_nonzero(found != expected) <= 3
    path = own_cache.folder / "coffee.safetensors"
    predictor.save_embedding(path)
    repvit_sam.SamPredictor(small).load_embedding(path)
    options = {"points_per_side": 3, "pred_iou_thresh": 0.5, "stability_score_thresh": 0.5}
    ours, theirs = (
        len(repvit_sam.SamAutomaticMaskGenerator(one, **options).generate(coffee)) for one in (model, small)
    )
    assert ours == theirs
    again = repvit_sam.load("small", "cpu", canvas=small.canvas_size, engine="auto")
    assert again.label.startswith("OpenVINO")
    assert len(own_cache.entries()) == 1
    shutil.rmtree(own_cache.folder)  # what is loaded does not need the files
    predictor.set_image(coffee)
