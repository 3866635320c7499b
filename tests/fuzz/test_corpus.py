"""The fuzzer's targets on its kept inputs, and on these nearly right: what runs where atheris does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..hostile import nearly_bytes
from .make_corpus import CORPUS
from .targets import TARGETS

FILES = [(path.parent.name, path) for path in sorted(CORPUS.glob("*/*"))]
REFUSED = ("code.pt", "packed.pt", "published.safetensors")


@pytest.mark.parametrize(("target", "path"), FILES, ids=[path.name for _, path in FILES])
def test_every_kept_input_is_small_and_read_or_refused_as_it_should(target, path):
    assert path.stat().st_size < 8000
    expected = path.name not in REFUSED and target == "image"  # no kept checkpoint has all the weights of a model
    assert TARGETS[target](path.read_bytes()) == expected


@given(st.sampled_from(FILES).flatmap(lambda file: st.tuples(st.just(file[0]), nearly_bytes(file[1].read_bytes()))))
def test_nearly_right_files_are_read_or_refused(case):
    target, data = case
    TARGETS[target](data)
