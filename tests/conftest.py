"""Shared by all tests: the bundled model, a photo made by formula (odd, not square), the example photographs."""

import ctypes
import gc
import os
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

import repvit_sam
from repvit_sam.memory import keep_freed_memory

if "PYTEST_XDIST_WORKER" in os.environ:  # processes side by side: one thread each, in what they start as well
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    keep_freed_memory()  # as the programs do

# what these share is made once and takes long: exported files, a server and a browser
_IN_ONE_PROCESS = ("tests/app/browser", "tests/repvit_sam/export", "tests/repvit_sam/backends")

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
# A property is tried on few inputs here, always the same; on many with --hypothesis-profile=long (docs/reliability.md).
# None may take five seconds there; here two processes share a busy machine.
settings.register_profile("quick", max_examples=40, deadline=None, derandomize=True, database=None)
settings.register_profile("long", max_examples=5_000, deadline=5000, database=None)
settings.load_profile("quick")

PHOTOS = Path(__file__).parents[1] / "repvit_sam" / "example_photos"


@pytest.hookimpl(optionalhook=True)  # also without xdist (-p no:xdist)
def pytest_xdist_make_scheduler(config, log):
    """Where tests run side by side, those that share a costly fixture stay in one process."""
    return _FoldersAndFiles(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Where a process of tests is gone: how it ended, which xdist does not say. -9 is a kill, as for lack of memory."""
    if error:
        status = node.gateway._io.popen.wait(timeout=60)
        free = psutil.virtual_memory().available / 2**20
        print(f"\n{node.gateway.id} ended with {status}; {free:.0f} MB of memory are free now", flush=True)


class _FoldersAndFiles(LoadScopeScheduling):
    """Units of work: a file, or the folders that share what takes long to make."""

    def _split_scope(self, nodeid):
        # by path: xdist 3.8's own way, marks, has no effect with pytest 9.2
        file = nodeid.split("::")[0]
        return next((f"{folder}/" for folder in _IN_ONE_PROCESS if f"/{folder}/" in f"/{file}"), file)


def pytest_collection_finish():
    """What was imported and collected stays to the end: no search for garbage need look at it again."""
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _freed_memory_goes_back():
    """After each file; or processes side by side would each hold the most that any of their tests has taken."""
    yield
    gc.collect()
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)


@pytest.fixture(scope="session")
def model():
    """The bundled checkpoint: real weights, real masks."""
    torch.manual_seed(0)
    return repvit_sam.load("tinyvit_sam", device="cpu")


@pytest.fixture(scope="session")
def light_checkpoint(tmp_path_factory):
    """A file: ``small`` on a canvas of 256, which encodes in a twentieth of the time."""
    path = tmp_path_factory.mktemp("light") / "light.safetensors"
    repvit_sam.load("small", device="cpu", fuse=False, canvas=256).save(path)
    return path


@pytest.fixture(scope="session")
def coffee():
    """A photograph, 600 x 400: a cup on a saucer."""
    return repvit_sam.read_photo(PHOTOS / "coffee.jpg")


@pytest.fixture(scope="session")
def coffee_encoded(model, coffee):
    predictor = repvit_sam.SamPredictor(model)
    predictor.set_image(coffee)
    return predictor.encoded


@pytest.fixture
def predictor(model, coffee_encoded):
    """A predictor with the coffee photo set."""
    predictor = repvit_sam.SamPredictor(model)
    predictor.encoded = coffee_encoded
    return predictor


@pytest.fixture(scope="session")
def formula_photo():
    """301 wide, 229 high: a bright disc on a slanted gradient."""
    y, x = np.mgrid[0:229, 0:301]
    photo = np.stack([x * 255 // 300, y * 255 // 228, (x + y) % 256], axis=-1).astype(np.uint8)
    photo[np.hypot(x - 150, y - 110) < 50] = (250, 240, 60)
    return photo
