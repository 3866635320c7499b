import importlib
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module_of(monkeypatch):
    """A module of benchmarks/ by its name; they import their neighbours by name, as programs do."""
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module
