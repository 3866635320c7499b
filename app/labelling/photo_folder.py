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
        self._by_file_name: dict[str, str | None] = {}
        self.scan()

    def scan(self) -> None:
        """Look again: photos may have been added."""
        self.names = tuple(sorted(self._find(self.path, ""), key=_natural))
        found: dict[str, str | None] = {}
        for name in self.names:
            base = name.rpartition("/")[2]
            found[base] = None if base in found else name
        self._by_file_name = {**found, **{name: name for name in self.names}}

    def name_of(self, file_name: str) -> str | None:
        """The photo that a COCO file means: by its path from the folder, or by its file's name if only one has it."""
        plain = file_name.replace("\\", "/")
        return self._by_file_name.get(plain) or self._by_file_name.get(plain.rpartition("/")[2])

    def path_of(self, name: str) -> Path:
        """Raises RequestError for a name that is not on the list: no other file is opened."""
        if self._by_file_name.get(name) != name:
            raise RequestError(f"{name!r} is not a photo of this folder; load the page again if it is new")
        return self.path / name

    def _find(self, folder: Path, prefix: str) -> Iterator[str]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or (entry.is_symlink() and not self._is_inside(entry.path)):
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
