import platform
import subprocess
import sys

import pytest

from repvit_sam import memory
from repvit_sam.memory import keep_freed_memory

# 64 MB are taken, touched and freed; do they stay in the process?
_STAYS = """
import ctypes, sys
from repvit_sam.memory import keep_freed_memory
done = keep_freed_memory() if sys.argv[1] == "keep" else False
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
held = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
before = held()
block = libc.malloc(ctypes.c_size_t(64 << 20))
ctypes.memset(block, 1, 64 << 20)
libc.free(block)
print(done, held() - before > 32 << 20)
"""


def is_glibc():
    return platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"


@pytest.mark.skipif(not is_glibc(), reason="glibc alone has these settings")
def test_freed_memory_stays_in_the_process(monkeypatch):
    for name in ("LD_PRELOAD", *memory._USERS_OWN):
        monkeypatch.delenv(name, raising=False)

    def printed(word):
        done = subprocess.run([sys.executable, "-c", _STAYS, word], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert printed("keep") == ["True", "True"]
    assert printed("leave") == ["False", "False"]


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_a_users_own_settings_or_allocator_are_left_alone(name, monkeypatch):
    monkeypatch.setenv(name, "1")
    assert keep_freed_memory() is False


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_other_systems_are_left_alone(system, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: system)
    assert keep_freed_memory() is False


def test_a_c_library_without_these_functions_is_left_alone(monkeypatch):
    """musl has no gnu_get_libc_version."""
    for name in ("LD_PRELOAD", *memory._USERS_OWN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert keep_freed_memory() is False
