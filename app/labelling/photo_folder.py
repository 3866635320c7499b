"""The photos of a folder, by their names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from repvit_sam.photo import SUFFIXES

from ..schemas import RequestError


class PhotoFolder:
    """The photos of a folder and of the folders in it. Only names are read: thousands take a moment.

    Args:
        path: the folder. Hidden folders are left out, and so are links to anything outside of it.

    Raises:
        NotADirectoryError: it is not a folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise NotADirectoryError(f"{path} is not a folder; give one with photos")
        self.path = path.resolve()
        self.names: tuple[str, ...] = ()
        """Relative to the folder, with ``/`` on every system; numbers in them count as numbers."""
        self._by_base: dict[str, str | None] = {}
        self._known: frozenset[str] = frozenset()
        self.scan()

    def scan(self) -> None:
        """Look again: photos may have been added."""
        self.names = tuple(sorted(self._find(self.path, ""), key=_natural))
        found: dict[str, str | None] = {}
        for name in self.names:
            base = name.rpartition("/")[2]
            found[base] = None if base in found else name
        self._by_base, self._known = found, frozenset(self.names)

    def name_of(self, file_name: str) -> str | None:
        """The photo that a COCO file means: by its path from the folder, or by its file's name if only one has it."""
        plain = file_name.replace("\\", "/")
        return plain if plain in self._known else self._by_base.get(plain.rpartition("/")[2])

    def path_of(self, name: str) -> Path:
        """Raises RequestError for a name that is not on the list: no other file is opened."""
        if name not in self._known:
            raise RequestError(f"{name!r} is not a photo of this folder; load the page again if it is new")
        return self.path / name

    def _find(self, folder: Path, prefix: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except OSError:  # a folder in it that may not be read
            return
        for entry in entries:
            if entry.name.startswith(".") or (entry.is_symlink() and not self._is_inside(entry.path)):
                continue
            if not entry.name.isprintable():  # such names cannot be written to JSON, or shown
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._find(Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.name.lower().endswith(SUFFIXES) and entry.is_file():
                yield prefix + entry.name

    def _is_inside(self, link: str) -> bool:
        return Path(link).resolve().is_relative_to(self.path)


def _natural(name: str) -> list[tuple[int, str]]:
    """photo2 before photo10."""
    return [(int(digits or -1), text) for digits, text in re.findall(r"(\d+)|(\D+)", name.lower())] + [(0, name)]
