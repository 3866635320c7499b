"""Checkpoints: their names (registry), downloading, the keys of published files (key_mapping), reading and writing."""

from .key_mapping import Layout
from .reading import Checkpoint, load_weights, read_checkpoint
from .registry import ALIASES, CHECKPOINTS, CheckpointEntry, find_checkpoint
from .writing import save_checkpoint

__all__ = [
    "ALIASES",
    "CHECKPOINTS",
    "Checkpoint",
    "CheckpointEntry",
    "Layout",
    "find_checkpoint",
    "load_weights",
    "read_checkpoint",
    "save_checkpoint",
]
