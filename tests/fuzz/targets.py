"""What the fuzzer calls: bytes in; an answer, or one of this project's errors in one sentence."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from repvit_sam.errors import CheckpointError, PhotoError


def image(data: bytes) -> bool:
    """Read a photo; whether it is one."""
    from repvit_sam.photo import read_photo

    try:
        photo = read_photo(data)
    except PhotoError as error:
        check_sentence(error)
        return False
    assert photo.ndim == 3, photo.shape
    return True


def checkpoint(data: bytes) -> bool:
    """Read a checkpoint and load it where its variant is that of the smallest model; whether it is one."""
    from repvit_sam.checkpoints import load_weights, read_checkpoint

    path = _scratch_file()
    path.write_bytes(data)
    try:
        found = read_checkpoint(path)
        if found.variant == "repvit_m0_9":
            load_weights(_model(), found)
    except CheckpointError as error:
        check_sentence(error)
        return False
    return True


def check_sentence(error: Exception) -> None:
    message = str(error)
    assert message, "an error without a sentence"
    assert len(message) < 1000, message


@cache
def _scratch_file() -> Path:
    """In memory where the system has a place for that: a fuzzer writes it thousands of times a second."""
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None)
    return Path(folder) / "weights.bin"


@cache
def _model() -> object:
    from repvit_sam.build import build_repvit_sam

    return build_repvit_sam("repvit_m0_9")


TARGETS: dict[str, Callable[[bytes], bool]] = {"image": image, "checkpoint": checkpoint}
