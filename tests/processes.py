"""Processes that are killed at random moments."""

import random
import signal
import subprocess
import time

KILLS = 20


class Killer:
    """Starts a command again and again, and kills it each time after a while that the seed decides.

    Args:
        command: as for subprocess.
        seconds: the shortest and the longest life, after it is ready.
        ready: whether it has begun its work, which takes long on a busy machine.
    """

    def __init__(self, command, seconds, ready=lambda: True, seed=0, **options):
        self._command, self._seconds, self._ready, self._options = command, seconds, ready, options
        self._chance = random.Random(seed)

    def life(self):
        """Start it and kill it; whether it was killed before it had ended by itself."""
        process = subprocess.Popen(self._command, **self._options)
        while process.poll() is None and not self._ready():
            time.sleep(0.05)
        try:
            process.wait(self._chance.uniform(*self._seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
        if process.returncode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"ended with {process.returncode}")
        return process.returncode != 0
