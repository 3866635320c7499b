"""The files of a folder on this machine, in the order of their whole paths."""

from __future__ import annotations

import os
from collections.abc import Iterator

from .files import real_path


def local_files(root: str, leave_out: str | None = None) -> Iterator[tuple[str, str | None]]:
    """The files below a folder, and folders that cannot be read with the reason.

    One folder after another is read, so that the names of a folder and of those above it are held, not of all.

    A link to a folder is followed where that adds folders: not where it leads into ``root``, which is listed anyway, or
    to a folder that holds ``root``, and no folder is entered twice. So links cannot go round.

    Args:
        root: a folder, as ``real_path`` spells it.
        leave_out: a folder that is not entered, spelled the same.
    """
    linked: set[str] = set()  # real paths of folders that were entered by way of a link
    names, problem = _names(root)
    if problem:
        yield root, problem
    waiting = [(root, root, names)]
    while waiting:
        folder, real_folder, names = waiting[-1]
        if not names:
            waiting.pop()
            continue
        name = names.pop()
        path = f"{folder.rstrip('/')}/{name.rstrip('/')}"
        if not name.endswith("/"):
            yield path, None
            continue
        by_link = os.path.islink(path)
        real = real_path(path) if by_link else f"{real_folder.rstrip('/')}/{name[:-1]}"
        if real == leave_out or (by_link and (_holds(root, real) or _holds(real, root))) or real in linked:
            continue
        if not _holds(root, real):
            linked.add(real)
        names, problem = _names(path)
        if problem:
            yield path, problem
        waiting.append((path, real, names))


def _names(folder: str) -> tuple[list[str], str | None]:
    """Names, the last first, those of folders with "/" as in the paths below them; and why there are none."""
    try:
        with os.scandir(folder) as entries:
            return sorted((f"{one.name}/" if one.is_dir() else one.name for one in entries), reverse=True), None
    except OSError as error:
        return [], f"the folder cannot be read: {error.strerror}"


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
