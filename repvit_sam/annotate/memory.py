"""How much memory this process has taken at most."""

from __future__ import annotations

import sys


def peak_mib() -> int:
    """Largest resident memory so far in MiB; 0 where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))
