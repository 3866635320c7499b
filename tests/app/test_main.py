import socket

import pytest

from repvit_sam.app.main import free_port


def test_a_taken_port_gives_the_next_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port("127.0.0.1", port) < port + 20


def test_an_address_that_is_not_ours_is_explained():
    with pytest.raises(ValueError, match="--port"):
        free_port("192.0.2.1", 7860)
