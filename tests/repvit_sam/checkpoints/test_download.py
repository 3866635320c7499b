"""Against a real HTTP server on this machine; only the internet is replaced."""

import hashlib
import http.server
import threading
from dataclasses import replace
from typing import ClassVar

import pytest

from repvit_sam.checkpoints import CheckpointEntry, find_checkpoint
from repvit_sam.checkpoints.download import fetch
from repvit_sam.errors import FetchError

CONTENT = bytes(range(256)) * 4000  # 1 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; /breaking sends half and hangs up; /plain ignores ranges."""

    content: ClassVar[bytes] = CONTENT
    ranges: ClassVar[list] = []

    def do_GET(self):
        if self.path == "/none":
            self.send_error(404)
            return
        start = 0
        asked = self.headers.get("Range")
        type(self).ranges.append(asked)
        if asked and self.path != "/plain":
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.content):
                self.send_error(416)
                return
        body = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/breaking" else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    Handler.ranges = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def entry(server, tmp_path, monkeypatch):
    monkeypatch.setenv("REPVIT_SAM_CACHE", str(tmp_path))

    def make(path="/good", sha256=SHA256):
        return CheckpointEntry("test", "vit_t", "test.pt", "a test", url=server + path, sha256=sha256)

    return make


def test_a_file_is_fetched_once_with_progress(entry):
    seen = []
    path = fetch(entry(), lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    fetch(entry())
    assert Handler.ranges == [None]


def test_a_broken_download_goes_on_where_it_stopped(entry, tmp_path):
    with pytest.raises(FetchError, match="repeat the command"):
        fetch(entry("/breaking"))
    half = (tmp_path / "test.pt.part").stat().st_size
    assert 0 < half < len(CONTENT)
    assert not (tmp_path / "test.pt").exists()
    assert fetch(entry()).read_bytes() == CONTENT
    assert Handler.ranges == [None, f"bytes={half}-"]


def test_a_server_without_ranges_starts_anew(entry, tmp_path):
    (tmp_path / "test.pt.part").write_bytes(b"old bytes")
    assert fetch(entry("/plain")).read_bytes() == CONTENT


def test_a_part_that_is_complete_is_only_verified(entry, tmp_path):
    (tmp_path / "test.pt.part").write_bytes(CONTENT)
    assert fetch(entry()).read_bytes() == CONTENT


def test_a_file_of_another_hash_is_thrown_away(entry, tmp_path):
    with pytest.raises(FetchError, match="published is 000"):
        fetch(entry(sha256="0" * 64))
    assert not list(tmp_path.iterdir())


def test_a_file_without_a_published_hash_must_be_the_checkpoint(entry, tmp_path, monkeypatch):
    with pytest.raises(FetchError, match=r"is no checkpoint.*was deleted"):
        fetch(entry(sha256=""))
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(Handler, "content", find_checkpoint("tinyvit_sam").read_bytes())
    assert fetch(entry(sha256="")).exists()
    other = replace(entry(sha256=""), variant="repvit_m2_3", file_name="other.pt")
    with pytest.raises(FetchError, match="gave a checkpoint of vit_t, expected repvit_m2_3"):
        fetch(other)


def test_a_refusing_server_and_no_server_are_told_apart(entry, tmp_path):
    with pytest.raises(FetchError, match="answers 404"):
        fetch(entry("/none"))
    nowhere = CheckpointEntry("test", "vit_t", "test.pt", "a test", url="http://127.0.0.1:9/x")
    with pytest.raises(FetchError, match=r"cannot be reached.*put it at"):
        fetch(nowhere)


def test_a_cache_folder_that_cannot_be_written_is_named(entry, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    unwritable = entry()
    monkeypatch.setenv("REPVIT_SAM_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(FetchError, match="cannot be written"):
        fetch(unwritable)
