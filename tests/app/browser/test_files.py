"""Opening photos: what is refused, dropped, pasted."""

import base64
import re

import pytest

from ...conftest import PHOTOS
from .conftest import CUP

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_file_that_is_no_picture_gives_a_message_and_keeps_the_page(on_coffee, tmp_path):
    (tmp_path / "text.jpg").write_text("this is no picture")
    on_coffee.at("file").set_input_files(tmp_path / "text.jpg")
    on_coffee.page.get_by_text(re.compile("text.jpg.*is not a picture|not a picture")).first.wait_for()
    on_coffee.screenshot("11_no_picture")
    on_coffee.state("ready")
    on_coffee.click(*CUP)


def test_a_dropped_and_a_pasted_photo_are_opened(visitor):
    data = base64.b64encode((PHOTOS / "rocket.jpg").read_bytes()).decode()
    send = """([data, kind]) => {
        const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], 'rocket.jpg', {type: 'image/jpeg'}));
        const target = document.querySelector('[data-part=stage]');
        target.dispatchEvent(kind === 'drop'
            ? new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true})
            : new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true, cancelable: true}));
    }"""
    for kind in ("drop", "paste"):
        visitor.at("example-coffee").click()
        visitor.page.wait_for_function("document.querySelector('.rs').rsDebug().width === 600")
        visitor.state("ready")
        visitor.page.evaluate(send, [data, kind])
        visitor.page.wait_for_function("document.querySelector('.rs').rsDebug().width === 640")
        visitor.state("ready")
