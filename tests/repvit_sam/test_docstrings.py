"""The examples in the docstrings of the public names run, and print what they say."""

import doctest
import functools
import inspect

import pytest

import repvit_sam
import repvit_sam.build

METHODS = (
    *("set_image", "predict", "predict_all", "predict_text", "predict_torch"),
    *("set_image_batch", "predict_batch", "save_embedding"),  # the last one shows load_embedding, too
)
# a dictionary has no docstring of its own; its module has the example
DOCUMENTED = {name: getattr(repvit_sam, name) for name in repvit_sam.__all__ if name != "sam_model_registry"}
DOCUMENTED["sam_model_registry"] = repvit_sam.build
DOCUMENTED |= {f"SamPredictor.{name}": getattr(repvit_sam.SamPredictor, name) for name in METHODS}


@pytest.fixture(autouse=True)
def _each_model_is_loaded_once(monkeypatch, loaded):
    monkeypatch.setattr(repvit_sam, "load", loaded)


@pytest.fixture(scope="module")
def loaded():
    return functools.cache(repvit_sam.load)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_example_prints_what_it_says(name):
    (example,) = [
        found for found in doctest.DocTestFinder(recurse=False).find(DOCUMENTED[name], name, globs={}) if found.examples
    ]
    printed: list[str] = []
    doctest.DocTestRunner().run(example, out=printed.append)
    assert not printed, "".join(printed)


def test_every_public_method_has_a_docstring():
    for name in repvit_sam.__all__:
        for method, function in inspect.getmembers(getattr(repvit_sam, name), inspect.isfunction):
            ours = function.__module__.startswith("repvit_sam")
            assert not ours or method.startswith("_") or inspect.getdoc(function), f"{name}.{method}"
