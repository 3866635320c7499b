"""Handlers of the page, without a server."""

import gradio as gr
import pytest

from repvit_sam.app.page import _Handlers, _heading
from repvit_sam.app.visit import Tool, open_photo

from ..conftest import PHOTOS


@pytest.fixture(scope="module")
def handlers(model):
    return _Handlers(model)


def clicked_at(x, y):
    return gr.SelectData(None, {"index": [x, y], "value": None})


def test_a_click_on_the_view_is_a_click_on_the_photo(model, handlers, coffee):
    visit, *_ = handlers.click(open_photo(model, coffee), Tool.OBJECT.value, clicked_at(512, 341.5))
    assert visit.points[0][:2] == pytest.approx((300, 200), abs=0.2)


@pytest.mark.filterwarnings("ignore")
def test_a_forgotten_visit_asks_for_the_photo_again(handlers):
    for answer in (
        handlers.click(None, Tool.OBJECT.value, clicked_at(5, 5)),
        handlers.undo(None),
        handlers.clear(None),
    ):
        assert answer[0] is None
        assert "open the photo again" in answer[2]
    assert handlers.take(None) == []


def test_a_bad_file_keeps_the_visit(model, handlers, coffee, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    visit = open_photo(model, coffee)
    assert handlers.open(visit, str(tmp_path / "text.jpg"))[0] is visit
    assert handlers.open(visit, str(PHOTOS / "rocket.jpg"))[0] is not visit


def test_the_heading_says_that_the_default_is_interim_and_hides_folders(model):
    assert "until a RepViT-M2.3 trained here" in _heading(model, "default")
    heading = _heading(model, "/secret/folder/mine.safetensors")
    assert "secret" not in heading
    assert "mine.safetensors" in heading
