"""Keep freed memory in the process, for programs that compute on a CPU under Linux.

glibc gives every block of more than 128 KB to 32 MB back to the system when it is freed, and asks for it again, page by
page, for the next tensor. Holding on to it makes encoding about a tenth faster in PyTorch and costs up to half more
memory at rest (docs/python.md). A program may decide this for itself, a library must not: only this project's own
programs call it, never ``import repvit_sam``.
"""

from __future__ import annotations

import ctypes
import os
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_BYTES = {_M_MMAP_THRESHOLD: 2**30, _M_TRIM_THRESHOLD: 2**31 - 1}
_USERS_OWN = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed for the next tensors; call it once, at the start of a program.

    Does nothing on other systems and C libraries (macOS, Windows, musl), where another allocator is loaded first
    (jemalloc, tcmalloc), or where the user has set glibc's own variables.

    Returns:
        whether the allocator took the settings.

    Example:
        >>> from repvit_sam.memory import keep_freed_memory
        >>> kept = keep_freed_memory()
    """
    if platform.system() != "Linux" or os.environ.get("LD_PRELOAD") or any(name in os.environ for name in _USERS_OWN):
        return False
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - glibc alone has it; musl's mallopt is missing
        return all(library.mallopt(setting, size) == 1 for setting, size in _BYTES.items())
    except (OSError, AttributeError):
        return False
