"""Files on this machine or behind any address that fsspec opens: what they look like, and their bytes."""

from __future__ import annotations

import datetime
import errno
import os
import posixpath
from collections.abc import Mapping
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from ...errors import JobError, PhotoError
from ...photo import MAX_BYTES
from .source_image import SourceImage

PATTERN_SIGNS = "*?["

# where file systems say when a file was written, or which content it has
_VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")

# what is wrong with one file, and will be the next time; other errors of a system (too many open files, no connection,
# a disk that is not there) would fail thousands of images that are in order
_OF_THE_FILE = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


def open_file_system(address: str) -> tuple[Any, str]:
    """An fsspec file system, and the path in it.

    Raises:
        ValueError: the address needs a library that is not installed, or cannot be reached.
    """
    try:
        return url_to_fs(address)
    except ImportError as error:
        raise ValueError(f"{address} needs another library to be opened: {error}") from None
    except ValueError as error:
        raise ValueError(f"{address} is no path and no address that can be opened: {error}") from None


def open_source(address: str) -> tuple[Any, str]:
    """As ``open_file_system``, with one spelling for each local path, so that the same source is known as the same.

    Neither "..", nor a folder that is a link, is left in it. A file that is a link itself keeps its name.

    Raises:
        ValueError: the address needs a library that is not installed, or cannot be reached.
    """
    system, path = open_file_system(address)
    return system, _one_spelling(path) if is_local(system) else path


def real_path(path: str | os.PathLike[str]) -> str:
    """Without ".." and links, with "/"."""
    return os.path.realpath(path).replace(os.sep, "/")


def pattern_folder(path: str) -> str:
    """The folder before the first sign of a pattern, or that of a file."""
    return posixpath.dirname(path[: min((path.index(sign) for sign in PATTERN_SIGNS if sign in path), default=None)])


def is_local(system: Any) -> bool:
    """Whether it is the disk of this machine."""
    return isinstance(system, fsspec.get_filesystem_class("file"))


def full_path(system: Any, path: str) -> str:
    """An absolute path for a local file, else an address, from which ``open_file_system`` gets here again."""
    return path if is_local(system) else str(system.unstrip_protocol(path))


def version_of(info: Mapping[str, Any]) -> str:
    """What changes when a file is written again, of fsspec's ``info``; empty where the file system says nothing."""
    for key in _VERSIONS:
        value = info.get(key)
        if isinstance(value, datetime.datetime):
            value = value.timestamp()
        if value is not None:
            return f"{value:.6f}" if isinstance(value, float) else str(value)
    return ""


def check_unchanged(image: SourceImage, system: Any, path: str) -> None:
    """Refuse an image whose file is gone, or is another than when it was listed.

    Raises:
        PhotoError: in one sentence, for the list of failed images.
        OSError: it cannot be looked at.
    """
    try:
        info = system.info(path)
    except FileNotFoundError:
        raise PhotoError("it is gone: it was there when the source was listed") from None
    whole_file = image.offset is None and image.row is None
    if version_of(info) != image.version or (whole_file and info.get("size") != image.size):
        raise PhotoError("its file was changed after the source was listed")
    if image.size is not None and image.size > MAX_BYTES:
        raise PhotoError(f"it has {image.size:,} bytes; the limit is {MAX_BYTES:,}")


class ImageReader:
    """Reads the bytes of images, each where it lies. For one thread."""

    def __init__(self) -> None:
        self._rows: Any = None

    def read(self, image: SourceImage) -> bytes:
        """The encoded image.

        Raises:
            PhotoError: refused, gone, changed, cut off or unreadable.
            JobError: it cannot be read now, for a reason that is not the image's own.
        """
        if image.refused:
            raise PhotoError(image.refused)
        try:
            system, path = open_file_system(image.path)
            check_unchanged(image, system, path)
            if image.row is not None:
                return self._read_row(image, system, path)
            self._rows = None  # sources are sorted: the table is read
            start, end = (None, None) if image.offset is None else (image.offset, image.offset + (image.size or 0))
            data: bytes = system.cat_file(path, start=start, end=end)
        except PhotoError:
            raise
        except ValueError as error:
            raise PhotoError(f"it cannot be read: {error}") from None
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            if error.errno in _OF_THE_FILE:
                raise PhotoError(f"it {reason}") from None
            raise JobError(f"{image.name} {reason}; mend that, and the same command goes on") from None
        if image.size is not None and len(data) != image.size:
            raise PhotoError(f"it is cut off after {len(data):,} of {image.size:,} bytes")
        return data

    def _read_row(self, image: SourceImage, system: Any, path: str) -> bytes:
        from .parquet import RowReader

        if self._rows is None or self._rows.address != (image.path, image.version):
            self._rows = RowReader((image.path, image.version), system.open(path), image.column or "")
        assert image.row
        return self._rows.read(*image.row)


def _one_spelling(path: str) -> str:
    if os.path.isdir(path):
        return real_path(path)
    folder = posixpath.dirname(path) if os.path.lexists(path) else pattern_folder(path)
    return real_path(folder or "/").rstrip("/") + path[len(folder.rstrip("/")) :]
