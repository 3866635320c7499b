"""One desk for the tests of the page: the model of the other tests, the example photographs, no server."""

import asyncio
from types import SimpleNamespace

import pytest

from repvit_sam.app.handlers import Desk
from repvit_sam.app.page import EXAMPLES

CHECKPOINT = "tinyvit_sam"


@pytest.fixture(scope="session")
def desk():
    return Desk(CHECKPOINT, "cpu", EXAMPLES)


@pytest.fixture(scope="session")
def ask(desk):
    """Call a server function as a page does: ask("predict", photo=..., chain=[...])."""

    def call(function, **message):
        return asyncio.run(getattr(desk, function)({"checkpoint": CHECKPOINT, **message}))

    return call


@pytest.fixture(scope="session")
def upload(desk):
    """Open a file as a page does, which sends a form."""

    def call(name, content, **fields):
        fields = {"checkpoint": CHECKPOINT, **fields}
        return asyncio.run(desk.open(SimpleNamespace(data=fields, files=[(name, content)])))

    return call


@pytest.fixture(scope="session")
def coffee_token(ask):
    return ask("open_example", name="coffee")["photo"]
