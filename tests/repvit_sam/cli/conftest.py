"""Runs a command in this process."""

import pytest
from typer.testing import CliRunner

import repvit_sam
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
def light(tmp_path_factory):
    """Options for a model that is fast: ``small`` on a canvas of 256, from a file."""
    path = tmp_path_factory.mktemp("light") / "light.safetensors"
    repvit_sam.load("small", device="cpu", fuse=False, canvas=256).save(path)
    return "--checkpoint", str(path), "--engine", "torch"
