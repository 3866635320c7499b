"""Write files whole or not at all, and hash them; where the user's cache is."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | os.PathLike[str], on_disk: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which is renamed to ``path`` if the block ends without an error.

    Args:
        on_disk: return once a power cut cannot take the file any more. It waits for the disk, some milliseconds.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
    try:
        yield beside
        # some writers (safetensors) make files that only their owner can read; set the user's usual mode
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)
        if on_disk:
            sync_file(beside)
        os.replace(beside, target)
        if on_disk:
            sync_folder(target.parent)
    finally:
        beside.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until the file's bytes are on the disk: a renamed file may be empty after a power cut otherwise."""
    with path.open("rb+" if os.name == "nt" else "rb") as stream:  # Windows syncs only what may be written
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk: after a power cut a renamed file may be gone otherwise."""
    if os.name == "nt":  # which opens no folder
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:  # some file systems of networks and of users know no such call
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(folder)


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
