"""Write files whole or not at all, and hash them; where the user's cache is."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which is renamed to ``path`` if the block ends without an error."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
    try:
        yield beside
        # some writers (safetensors) make files that only their owner can read; set the user's usual mode
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The file's SHA-256 in hexadecimal, read in blocks."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cache_folder() -> Path:
    """Where downloaded checkpoints and converted models are kept: REPVIT_SAM_CACHE, or the user's cache folder."""
    from platformdirs import user_cache_path  # an ONNX model is computed without it

    chosen = os.environ.get("REPVIT_SAM_CACHE")
    return Path(chosen) if chosen else user_cache_path("repvit-sam")
