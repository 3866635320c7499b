"""Checkpoints: their names (registry), downloading, the keys of published files (key_mapping), reading and writing.

What needs torch is imported when it is first used: a name is found, and a mask written, without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .registry import ALIASES, CHECKPOINTS, CheckpointEntry, find_checkpoint

if TYPE_CHECKING:
    from .key_mapping import Layout
    from .reading import Checkpoint, load_backbone, load_weights, read_checkpoint
    from .writing import save_checkpoint

_HOMES = {
    "Checkpoint": ".reading",
    "Layout": ".key_mapping",
    "load_backbone": ".reading",
    "load_weights": ".reading",
    "read_checkpoint": ".reading",
    "save_checkpoint": ".writing",
}

__all__ = [
    "ALIASES",
    "CHECKPOINTS",
    "Checkpoint",
    "CheckpointEntry",
    "Layout",
    "find_checkpoint",
    "load_backbone",
    "load_weights",
    "read_checkpoint",
    "save_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
