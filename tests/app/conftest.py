"""One set of handlers for the tests of the page: the light model, the example photos, no server."""

import asyncio
from types import SimpleNamespace

import pytest

from repvit_sam.app.handlers import Handlers
from repvit_sam.app.service import MaskService
from repvit_sam.app.store import ModelStore, PhotoStore
from repvit_sam.example_photos import EXAMPLE_PHOTOS, example_photo

CHECKPOINT = "light.safetensors"  # the file of the fixture light_checkpoint, as visitors name it


@pytest.fixture(scope="session")
def handlers(light_checkpoint):
    service = MaskService(
        ModelStore(str(light_checkpoint), "cpu"), PhotoStore([example_photo(name) for name in EXAMPLE_PHOTOS])
    )
    service.warm_up()
    return Handlers(service)


@pytest.fixture(scope="session")
def small_model(handlers):
    """The handlers' model, to compare with."""
    return handlers.service.models.get(CHECKPOINT)


@pytest.fixture(scope="session")
def call(handlers):
    """Call a server function as a page does: call("predict", photo=..., chain=[...])."""

    def call(function, **request):
        return asyncio.run(getattr(handlers, function)({"checkpoint": CHECKPOINT, **request}))

    return call


@pytest.fixture(scope="session")
def upload(handlers):
    """Open a file as a page does, which sends a form."""

    def upload(name, content, **fields):
        fields = {"checkpoint": CHECKPOINT, **fields}
        return asyncio.run(handlers.open(SimpleNamespace(data=fields, files=[(name, content)])))

    return upload


@pytest.fixture(scope="session")
def coffee_token(call):
    return call("open_example", name="coffee")["photo"]
