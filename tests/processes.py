"""Commands in processes of their own, and processes that are killed at random moments."""

import os
import random
import runpy
import signal
import subprocess
import sys
import time

from repvit_sam.processes import fresh_processes

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


class Command:
    """``python -m MODULE WORDS`` in a process of its own, which has imported torch already, as workers have.

    It is signalled and killed as any other. What is true of a new Python is tested with ``subprocess``.

    Args:
        environment: variables to set.
        new_session: as for subprocess: signals of the terminal reach all processes of the command.
        before: a function of a module to call in the process first, as to limit it.

    Attributes:
        stdout, stderr: what it writes, as text.
    """

    def __init__(self, *words, module="repvit_sam.cli", environment=None, new_session=False, before=None):
        context = fresh_processes()
        readers, writers = zip(context.Pipe(duplex=False), context.Pipe(duplex=False), strict=True)
        words = [module, *map(str, words)]
        self._process = context.Process(target=_command, args=(words, environment or {}, writers, new_session, before))
        self._process.start()
        for writer in writers:
            writer.close()
        self.stdout, self.stderr = (os.fdopen(os.dup(reader.fileno())) for reader in readers)
        self.pid = self._process.pid

    def poll(self):
        return self._process.exitcode

    def wait(self, seconds=120):
        """Its exit code, negative for the signal that ended it."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise TimeoutError(f"the command has not ended in {seconds} s")
        return self._process.exitcode

    def result(self, seconds=120):
        """Wait for its end -> exit code, all of stdout and all of stderr, of which a pipe must hold the whole."""
        printed, said = self.stdout.read(), self.stderr.read()
        return self.wait(seconds), printed, said

    def send_signal(self, number):
        os.kill(self.pid, number)


def _command(words, environment, writers, new_session, before):
    for number, writer in enumerate(writers, 1):
        os.dup2(writer.fileno(), number)
        writer.close()
    if new_session:
        os.setsid()
    os.environ.update(environment)
    sys.argv = words
    if before:
        before()
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
