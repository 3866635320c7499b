"""Rules about the tree that no single module can keep."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("folder", ["app", "distill", "eval"])
def test_no_module_shadows_the_standard_library(folder):
    """Python puts a program's own folder first: ``python app/main.py`` with an app/code.py would break pdb."""
    names = {
        path.stem for path in (ROOT / folder).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert len(names) > 1
    assert not names & sys.stdlib_module_names
