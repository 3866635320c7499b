"""Runs a command in this process."""

import pytest
from typer.testing import CliRunner

from repvit_sam.cli import app

from ...conftest import PHOTOS

COFFEE = str(PHOTOS / "coffee.jpg")


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of its own for each test, instead of the user's."""
    monkeypatch.setenv("REPVIT_SAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def light(light_checkpoint):
    """Options for a model that is fast."""
    return "--checkpoint", str(light_checkpoint), "--engine", "torch"
