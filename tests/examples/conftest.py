import importlib
from pathlib import Path

import pytest


@pytest.fixture
def example(monkeypatch):
    """A program of examples/ as a module, by its name."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    return importlib.import_module
