import os
import signal

import pytest

from repvit_sam.distill.run.signals import StopSignal


def test_the_first_signal_is_noted_and_a_second_ctrl_c_stops_at_once(capsys):
    with StopSignal() as stop:
        assert stop.number == 0
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert "stopping after this step" in capsys.readouterr().err


def test_the_handlers_of_before_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal(silent=True):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
