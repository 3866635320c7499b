"""The page as it is served, and visitors who mean no good."""

import contextlib
import http.client
import json
import os
import socket
import tempfile
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from repvit_sam.app.main import free_port
from repvit_sam.app.page import build_page, launch_page
from repvit_sam.example_photos import example_photo

from .conftest import CHECKPOINT

UPLOADS = ("/gradio_api/upload", "/gradio_api/component_server/")
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
FORM = "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"


class Server:
    def __init__(self, port, folder, page):
        self.port, self.folder, self._page = port, folder, page

    def get(self, path):
        """Status and body; the path is sent as it stands, which urllib would not do."""
        answer = self.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def send(self, *pieces, leave=False):
        """The whole answer, after which the server hangs up; none for a visitor who leaves before it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
            for piece in pieces:
                line.sendall(piece)
            received = b""
            with contextlib.suppress(ConnectionResetError):  # it hangs up on what it has not read
                while not leave and (piece := line.recv(65536)):
                    received += piece
            return received

    def call(self, function, **request):
        component = next(block for block in self._page.blocks.values() if block.elem_id == "repvit-sam")
        body = {"data": request, "component_id": component._id, "fn_name": function, "session_hash": uuid4().hex}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", UPLOADS[1], json.dumps(body), {"Content-Type": "application/json"})
        return json.load(connection.getresponse())

    def sessions(self):
        return self._page.state_holder.session_data

    def files(self):
        return [path.name for path in self.folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def server(handlers, tmp_path_factory):
    """All of its temporary files lie in one folder."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        page = build_page(handlers, handlers.functions())
        port = free_port("127.0.0.1", 30_000 + os.getpid() % 10_000)
        launch_page(page, "127.0.0.1", port)
        yield Server(port, folder, page)
        page.close(verbose=False)


def test_names_made_up_for_sessions_do_not_fill_the_memory(server):
    """Gradio would keep ten thousand."""
    for _ in range(210):
        assert "checkpoints" in server.call("about")
    assert len(server.sessions()) <= 200


@pytest.mark.parametrize("path", UPLOADS)
def test_an_upload_that_breaks_off_leaves_no_file_behind(server, path):
    announced = f"{FORM.format(path=path)}Content-Length: 30000000\r\n\r\n".encode()
    server.send(announced, PART, b"x" * 5_000_000, leave=True)
    assert server.call("about")["checkpoint"] == CHECKPOINT  # the server has gone on since
    assert server.files() == []


@pytest.mark.parametrize("path", UPLOADS)
@pytest.mark.parametrize("rest", [b"x" * 9, b"x--b--", b"x\r\n--b", b"x\r\n--bb--"])
def test_a_form_without_an_end_is_refused_and_leaves_no_file_behind(server, path, rest):
    head = f"{FORM.format(path=path)}Content-Length: {len(PART + rest)}\r\n\r\n".encode()
    answer = server.send(head, PART, rest)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"the form is incomplete" in answer
    assert server.files() == []


@pytest.mark.parametrize("other", ["text/plain", "multipart/form-data; boundary=c"])
def test_a_form_of_two_kinds_is_refused(server, other):
    """Gradio would take the first, another reader the last."""
    head = f"{FORM.format(path=UPLOADS[1])}Content-Type: {other}\r\nContent-Length: {len(PART)}\r\n\r\n".encode()
    assert server.send(head, PART).startswith(b"HTTP/1.1 400")
    assert server.files() == []


@pytest.mark.parametrize("path", UPLOADS)
def test_200_megabytes_are_refused_before_they_are_sent(server, path):
    assert server.send(f"{FORM.format(path=path)}Content-Length: 209715200\r\n\r\n".encode()).startswith(
        b"HTTP/1.1 413"
    )


@pytest.mark.parametrize("path", UPLOADS)
def test_an_upload_without_a_length_is_cut_off_at_the_limit(server, path):
    piece, sent = b"100000\r\n" + b"x" * 2**20 + b"\r\n", 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(f"{FORM.format(path=path)}Transfer-Encoding: chunked\r\n\r\n".encode())
        line.sendall(f"{len(PART):x}\r\n".encode() + PART + b"\r\n")
        with contextlib.suppress(OSError):  # a reset or a broken pipe, as the system likes
            while sent < 200:
                line.sendall(piece)
                sent += 1
    assert 60 < sent < 100
    assert server.files() == []


@pytest.mark.parametrize(
    "path",
    [
        *("/gradio_api/file=/etc/passwd", "/gradio_api/file=../../../../etc/passwd", "/file=/etc/passwd"),
        *("/static/../../../../../../etc/passwd", "/repvit-sam/../page.py", "/repvit-sam/%2e%2e/page.py"),
        *("/repvit-sam/..%2fpage.py", "/gradio_api/proxy=http://127.0.0.1/", "/gradio_api/download/page.py"),
        f"/gradio_api/file={Path(__file__).resolve()}",
        "/monitoring",
    ],
)
def test_files_of_the_server_are_out_of_reach(server, path):
    status, body = server.get(path)
    assert status in (400, 403, 404)
    assert not any(word in body for word in (b"root:", b"import"))


def test_another_visitors_photo_is_out_of_reach(server, upload):
    """A photo has a token of 144 random bits, which only its visitor is told."""
    token = upload("mine.jpg", example_photo("chelsea").read_bytes())["photo"]
    assert server.call("resume", photo=token, checkpoint=CHECKPOINT)["name"] == "mine.jpg"
    for guess in ("mine.jpg", token[:-1], token[:-1] + "%", "", "*", "../" + token):
        assert server.call("resume", photo=guess, checkpoint=CHECKPOINT)["error"]
    for path in (f"/gradio_api/file={token}", "/gradio_api/file=mine.jpg", f"/{token}"):
        assert server.get(path)[0] in (403, 404)
    assert server.files() == []  # an upload of the page is not kept on disk


def test_a_slow_visitor_holds_up_nobody(server):
    head = f"{FORM.format(path=UPLOADS[1])}Content-Length: 1000000\r\n\r\n".encode()
    lines = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(50)]
    try:
        for line in lines:
            line.sendall(head + PART)
        answers = []
        others = [threading.Thread(target=lambda: answers.append(server.call("about"))) for _ in range(4)]
        for thread in others:
            thread.start()
        for thread in others:
            thread.join(20)
        assert len(answers) == 4
    finally:
        for line in lines:
            line.close()
