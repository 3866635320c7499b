"""Whatever a page, or somebody in its place, sends: an answer, or one sentence."""

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repvit_sam.app import api
from repvit_sam.app.schemas import RequestError
from repvit_sam.rle import encode_rle

from ..hostile import STRANGE, answer, nearly
from .conftest import CHECKPOINT

CHAIN = [{"points": [[300, 200, 1], [10.5, 20, 0]], "box": [1, 2, 300, 400], "pick": 1, "refine": False}]


@pytest.fixture(scope="module")
def messages(coffee, coffee_token):
    """A right message for each server function that needs no decoder."""
    mask = coffee[..., 0] > 128
    rle = encode_rle(mask)
    photo = {"photo": coffee_token, "checkpoint": CHECKPOINT, "visitor": "a", "ticket": "b"}
    layers = [{"name": "cup", "colour": "#ff8800", "rle": rle}]
    return [
        ("about", {}),
        ("open_example", {**photo, "name": "coffee"}),
        ("resume", photo),
        ("progress", {"ticket": "b"}),
        ("cancel", {"ticket": "b"}),
        ("predict", {**photo, "chain": [{"points": [[1, 2, 0]]}]}),
        ("keep", {**photo, "chain": [{"points": [[1, 2, 0]]}]}),
        *(("download", {**photo, "kind": kind, "layers": layers}) for kind in ("coco", "svg", "mask")),
        ("python_snippet", {"name": "a.jpg", "objects": [{"name": "cup", "chain": CHAIN}, {"name": "b", "rle": rle}]}),
        ("find_text", {**photo, "text": "a cup"}),
        ("edit_mask", {**photo, "rle": rle, "edit": {"kind": "brush", "points": [[1, 2], [30, 40]], "diameter": 9}}),
        ("edit_mask", {**photo, "rle": None, "edit": {"kind": "outline", "loops": [[[1, 2], [30, 4], [5, 60]]]}}),
        *(("edit_mask", {**photo, "rle": rle, "edit": {"kind": kind}}) for kind in ("fill_holes", "split")),
        ("edit_mask", {**photo, "rle": rle, "edit": {"kind": "cut", "others": [rle]}}),
        ("outline", {**photo, "rle": rle}),
    ]


def is_answer(response):
    """Not the sentence that stands for an error that nobody expected."""
    assert isinstance(response, dict)
    assert "something went wrong on the server" not in str(response.get("error", ""))
    return True


def is_expected(function, message):
    return is_answer(asyncio.run(function(message)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_message_gets_an_answer_or_one_sentence(handlers, messages, data):
    name, right = data.draw(st.sampled_from(messages))
    message = data.draw(nearly(right) | STRANGE)
    if isinstance(message, dict):
        message.setdefault("checkpoint", CHECKPOINT)  # the default one takes long to load
    assert is_expected(getattr(handlers, name), message)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_message_with_prompts_gets_an_answer_or_one_sentence(handlers, coffee_token, data):
    """Those that the model decodes; they are few, for each takes a tenth of a second."""
    chain = data.draw(nearly(CHAIN, changes=2))
    message = {"photo": coffee_token, "checkpoint": CHECKPOINT, "chain": chain}
    assert is_expected(handlers.predict, message)


@given(st.text() | STRANGE, st.binary(max_size=50), nearly({"checkpoint": CHECKPOINT, "ticket": "a", "visitor": "b"}))
def test_any_upload_gets_an_answer_or_one_sentence(handlers, name, content, fields):
    assert is_expected(handlers.open, SimpleNamespace(data=fields, files=[(name, content)]))
    assert is_expected(handlers.open, fields)


@pytest.mark.parametrize("text", ["[" * 100_000, "[1" + "0" * 5000 + "]", "[" + "1," * 600_000 + "1]", "\ud800", "{"])
def test_prompts_as_text_beyond_the_limits_are_refused_in_one_sentence(text):
    assert answer(api._parsed, text, errors=RequestError) is None
