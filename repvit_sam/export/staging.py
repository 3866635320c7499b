"""Write new files in a hidden folder beside the old ones, then replace the old ones: all of them, or none."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path


class StagingFolder:
    """A hidden folder inside ``out``, to be used in a ``with`` block; it is removed at the end of the block.

    Attributes:
        path: where to write the new files.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self.path = out / f".{secrets.token_hex(4)}"

    def __enter__(self) -> StagingFolder:
        self._out_is_new = not self._out.exists()
        self._out.mkdir(parents=True, exist_ok=True)
        self.path.mkdir()
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        if self._out_is_new and not any(self._out.iterdir()):
            self._out.rmdir()

    def publish(self, names: Iterable[str]) -> list[Path]:
        """Move files and folders of these names into ``out``; if that fails, put the old ones back.

        Returns:
            Their new paths.
        """
        names = list(names)
        try:
            for name in names:
                if self._target(name).exists():  # no rename replaces a folder: move the old one away first
                    os.replace(self._target(name), self._old(name))
                os.replace(self.path / name, self._target(name))
        except BaseException:
            self._restore(names)
            raise
        return [self._target(name) for name in names]

    def _restore(self, names: list[str]) -> None:
        for name in names:
            staged, target = self.path / name, self._target(name)
            if target.exists() and not staged.exists():  # the new one was published already
                os.replace(target, staged)
            if self._old(name).exists():
                os.replace(self._old(name), target)

    def _target(self, name: str) -> Path:
        return self._out / name

    def _old(self, name: str) -> Path:
        return self.path / f"old.{name}"
