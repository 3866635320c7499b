"""Converted models on disk: built once under a lock, checked when opened, bounded in bytes.

An entry is a folder with files and ``manifest.json``, which says what the entry was made from and has the size and hash
of each file. Entries lie in ``converted`` of the user's cache folder (REPVIT_SAM_CACHE moves it).

Locks are those of ``filelock``, which torch depends on too: the operating system frees them when a process dies.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..files import cache_folder, sha256_of

FORMAT = 1  # entries of another format are built again
LIMIT_MB = 2000  # of all entries together; REPVIT_SAM_CACHE_MB changes it
_MANIFEST = "manifest.json"
_log = logging.getLogger("repvit_sam")


@dataclass(frozen=True)
class CacheEntry:
    """A converted model on disk.

    Attributes:
        size: of its files, in bytes.
        used: when it was last opened, in seconds since 1970.
    """

    path: Path
    size: int
    used: float

    @property
    def name(self) -> str:
        return self.path.name


class ModelCache:
    """The converted models of one folder.

    Args:
        folder: None takes ``converted`` in the user's cache folder.
        limit_mb: least recently used entries are deleted above it, but never the newest; None takes REPVIT_SAM_CACHE_MB
            from the environment, else 2000.

    Raises:
        ValueError: REPVIT_SAM_CACHE_MB is not a number of megabytes.
    """

    def __init__(self, folder: Path | None = None, limit_mb: int | None = None) -> None:
        self.folder = cache_folder() / "converted" if folder is None else folder
        self.limit = 1_000_000 * (_limit_mb() if limit_mb is None else limit_mb)  # bytes

    def get(self, name: str, settings: Mapping[str, str], build: Callable[[Path], None]) -> Path:
        """The folder of an entry, built now if it is not there, damaged, or made from other settings.

        Args:
            name: the first part of the folder's name, for people.
            settings: everything that decides the files' content.
            build: writes the files into the empty folder that it is given.

        Raises:
            OSError: the folder cannot be written. What ``build`` raises is passed on, and no entry is left.
        """
        made_from = {**settings, "format": str(FORMAT)}
        path = self.folder / f"{name}-{sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:12]}"
        if _is_whole(path, made_from):
            return path
        from filelock import FileLock, Timeout

        locks = self.folder / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{path.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _log.info("waiting for another process, which converts the same model")
            lock.acquire()
        try:
            if not _is_whole(path, made_from):  # another process may have built it meanwhile
                self._build(path, made_from, build)
        finally:
            lock.release()
        return path

    def entries(self) -> list[CacheEntry]:
        """All entries, the one used last first."""
        if not self.folder.is_dir():
            return []
        paths = [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return sorted((entry for path in paths if (entry := _entry(path))), key=lambda entry: -entry.used)

    def clear(self) -> list[CacheEntry]:
        """Delete all entries; returns those that are gone."""
        gone = self.entries()
        for entry in gone:
            shutil.rmtree(entry.path, ignore_errors=True)
        return [entry for entry in gone if not entry.path.exists()]

    def _build(self, path: Path, made_from: Mapping[str, str], build: Callable[[Path], None]) -> None:
        """Build beside, then rename: an entry is whole or not there."""
        if path.exists():
            _log.info("%s is damaged and is built again", path)
        beside = self.folder / f".{path.name}.part"  # what a process left that was killed; the lock is ours
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            build(beside)
            files = {file.name: _facts(file) for file in sorted(beside.iterdir())}
            manifest = {"made_from": dict(made_from), "files": files}
            (beside / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
            shutil.rmtree(path, ignore_errors=True)
            os.replace(beside, path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        self._make_room(newest=path)

    def _make_room(self, newest: Path) -> None:
        kept = 0
        for entry in self.entries():
            kept += entry.size
            if kept > self.limit and entry.path != newest:
                shutil.rmtree(entry.path, ignore_errors=True)


def _limit_mb() -> int:
    text = os.environ.get("REPVIT_SAM_CACHE_MB", str(LIMIT_MB))
    if not text.isdecimal():
        raise ValueError(f"REPVIT_SAM_CACHE_MB must be a whole number of megabytes, got {text!r}")
    return int(text)


def _is_whole(path: Path, made_from: Mapping[str, str]) -> bool:
    """Whether all files are as they were written; an entry that is opened counts as used now."""
    manifest = path / _MANIFEST
    try:
        content: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
        if content["made_from"] != dict(made_from):
            return False
        if any(_facts(path / name) != facts for name, facts in content["files"].items()):
            return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    with suppress(OSError):  # a folder that can only be read
        os.utime(manifest)
    return True


def _facts(file: Path) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "sha256": sha256_of(file)}


def _entry(path: Path) -> CacheEntry | None:
    """None where another process has just deleted it."""
    try:
        size = sum(file.stat().st_size for file in path.iterdir())
        manifest = path / _MANIFEST
        return CacheEntry(path, size, (manifest if manifest.exists() else path).stat().st_mtime)
    except OSError:
        return None


def age(entry: CacheEntry) -> str:
    """How long ago it was used, in words: "3 minutes"."""
    seconds = max(0.0, time.time() - entry.used)
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
