import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repvit_sam.foreign_json import MAX_DEPTH, ForeignJsonError, parse_foreign_json, read_foreign_json

from ..hostile import answer

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
    max_leaves=30,
)


@given(VALUES, st.booleans())
def test_what_python_writes_is_read_back(value, as_ascii):
    text = json.dumps(value, ensure_ascii=as_ascii)
    assert parse_foreign_json(text) == parse_foreign_json(text.encode()) == value


@given(st.binary() | st.text(alphabet='[]{}"\\,:truenl0123456789.eE-\ud800\ufeff é', max_size=200))
def test_any_text_is_read_or_refused_in_one_sentence(data):
    json.dumps(answer(parse_foreign_json, data, errors=ForeignJsonError), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[" * 1_000_000, "nests lists and objects more than 64 levels deep"),
        (b'{"a":' * 100_000, "more than 64 levels"),
        (b'["]]]]", ' * 100 + b"1" + b"]" * 100, "more than 64 levels"),  # brackets in text close nothing
        (b'["\\"]", ' * 100 + b"1" + b"]" * 100, "more than 64 levels"),
        (b"[1" + b"0" * 5000 + b"]", "whole number of 5001 digits"),
        (b"[9223372036854775808]", "whole number of 19 digits"),
        (b'["\\ud800"]', "half a character"),
        (b"\xff\xfe[\x00]\x00", "no text in UTF-8"),
        (b"", "is not JSON"),
    ],
)
def test_json_beyond_the_limits_is_refused(data, words):
    with pytest.raises(ForeignJsonError, match=words):
        parse_foreign_json(data)


def test_depth_is_that_of_lists_and_objects_alone():
    assert parse_foreign_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert parse_foreign_json(json.dumps(["[" * 1000, "\\[{" * 1000])) == ["[" * 1000, "\\[{" * 1000]
    assert parse_foreign_json(b"\xef\xbb\xbf" + b'["\\ud83d\\ude00"]') == ["😀"]


def test_a_bracket_at_a_seam_of_the_blocks_is_counted(monkeypatch):
    monkeypatch.setattr("repvit_sam.foreign_json._BLOCK", 7)
    assert parse_foreign_json(json.dumps([['"', "[[[["]] * 100)) == [['"', "[[[["]] * 100
    with pytest.raises(ForeignJsonError, match="64 levels"):
        parse_foreign_json(b"[ " * 65 + b"]" * 65)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "large.json"
    with path.open("wb") as stream:
        stream.truncate(2**40)  # takes no room on the disk
    with pytest.raises(ForeignJsonError, match=r"1,099,511,627,776 bytes of JSON, more than 2,147,483,648"):
        read_foreign_json(path)
