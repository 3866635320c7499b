import socket

import pytest

from repvit_sam.app.main import free_port


def test_a_taken_port_gives_the_next_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port("127.0.0.1", port) < port + 20


@pytest.mark.parametrize(
    ("host", "words"), [("192.0.2.1", "not an address of this machine"), ("no-such-host.invalid", "is not an address")]
)
def test_an_address_that_is_not_ours_is_explained(host, words):
    with pytest.raises(ValueError, match=words):
        free_port(host, 7860)


def test_no_free_port_says_which_were_tried(monkeypatch):
    monkeypatch.setattr("repvit_sam.app.main._PORTS_TRIED", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ValueError, match="choose another with --port"):
            free_port("127.0.0.1", taken.getsockname()[1])
