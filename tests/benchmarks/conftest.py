"""Programs and modules of benchmarks/, in this process, so that torch is imported once."""

import importlib
import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module_of(monkeypatch):
    """A module by its name; they import their neighbours by name, as programs do."""
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a script with these words as ``python benchmarks/SCRIPT`` would -> exit code, lines of stdout, stderr.

    In this process, so that torch is imported once.
    """

    def run(script, *words):
        monkeypatch.setattr(sys, "argv", [script, *words])
        monkeypatch.syspath_prepend(SCRIPTS)  # as Python does for a script; they import their neighbours
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPTS / script), run_name="__main__")
        printed = capsys.readouterr()
        return ended.value.code, printed.out.splitlines(), printed.err

    return run


@pytest.fixture
def lines_of(run):
    def lines(script, *words):
        code, printed, errors = run(script, *words)
        assert not code, errors
        return printed

    return lines
