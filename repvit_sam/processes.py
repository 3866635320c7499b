"""How programs start processes that compute beside each other."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.context import BaseContext

_IMPORTED_ONCE = ["repvit_sam.loading", "repvit_sam.mask_generator"]  # with torch and timm: seconds for each process


def fresh_processes() -> BaseContext:
    """A way to start processes that share no state with this one.

    Not forked: torch's threads and CUDA do not survive that. On Linux they come from a server that has imported torch
    and computed nothing; elsewhere each is spawned.

    Example:
        >>> from repvit_sam.processes import fresh_processes
        >>> fresh_processes().get_start_method() in ("forkserver", "spawn")
        True
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    multiprocessing.set_forkserver_preload(_IMPORTED_ONCE)
    return multiprocessing.get_context("forkserver")
