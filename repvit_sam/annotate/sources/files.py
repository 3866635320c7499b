"""Files on this machine or behind any address that fsspec opens: what they look like, and their bytes."""

from __future__ import annotations

import datetime
import os
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...errors import JobError, PhotoError
from ...photo import MAX_BYTES
from .source_image import SourceImage
from .store import Store, is_of_the_file

PATTERN_SIGNS = "*?["

# where file systems say when a file was written, or which content it has
_VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")


def open_source(address: str) -> tuple[Store, str]:
    """As ``Store.at``, with one spelling for each local path, so that the same source is known as the same.

    Neither "..", nor a folder that is a link, is left in it. A file that is a link itself keeps its name.

    Raises:
        ValueError: the address needs a library that is not installed, or is none.
        OSError: its store cannot be reached.
    """
    store, path = Store.at(address)
    return store, _one_spelling(path) if store.is_local else path


def real_path(path: str | os.PathLike[str]) -> str:
    """Without ".." and links, with "/"."""
    return os.path.realpath(path).replace(os.sep, "/")


def pattern_folder(path: str) -> str:
    """The folder before the first sign of a pattern, or that of a file."""
    return posixpath.dirname(path[: min((path.index(sign) for sign in PATTERN_SIGNS if sign in path), default=None)])


def version_of(info: Mapping[str, Any]) -> str:
    """What changes when a file is written again, of fsspec's ``info``; empty where the file system says nothing."""
    for key in _VERSIONS:
        value = info.get(key)
        if isinstance(value, datetime.datetime):
            value = value.timestamp()
        if value is not None:
            return f"{value:.6f}" if isinstance(value, float) else str(value)
    return ""


@contextmanager
def listing_errors(address: str) -> Iterator[None]:
    """Say in a sentence that a source cannot be listed.

    Raises:
        ValueError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise ValueError(f"{error.filename or address} cannot be read: {error.strerror or error}") from error


def why_refused(error: OSError, gone: str | None = None) -> str:
    """The reason for which a file of a source is a failed image.

    Args:
        gone: in place of the system's words where there is no such file.

    Raises:
        OSError: the same, where the file may be in order: thousands of images would be refused by mistake.
    """
    if not is_of_the_file(error):
        raise error
    if gone and isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return gone
    return f"it cannot be read: {error.strerror or error}"


def check_unchanged(image: SourceImage, store: Store, path: str) -> None:
    """Refuse an image whose file is gone, or is another than when it was listed.

    Raises:
        PhotoError: in one sentence, for the list of failed images.
        OSError: it cannot be looked at.
    """
    try:
        info = store.info(path)
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
            store, path = Store.at(image.path)
            check_unchanged(image, store, path)
            if image.row is not None:
                return self._read_row(image, store, path)
            self._rows = None  # sources are sorted: the table is read
            start, end = (None, None) if image.offset is None else (image.offset, image.offset + (image.size or 0))
            data = store.cat_file(path, start, end)
        except PhotoError:
            raise
        except ValueError as error:
            raise PhotoError(f"it cannot be read: {error}") from None
        except OSError as error:
            if is_of_the_file(error):
                raise PhotoError(why_refused(error)) from None
            reason = error.strerror or error
            raise JobError(f"{image.name} cannot be read: {reason}; mend that, and the same command goes on") from None
        if image.size is not None and len(data) != image.size:
            raise PhotoError(f"it is cut off after {len(data):,} of {image.size:,} bytes")
        return data

    def _read_row(self, image: SourceImage, store: Store, path: str) -> bytes:
        from .parquet import RowReader

        if self._rows is None or self._rows.address != (image.path, image.version):
            self._rows = RowReader((image.path, image.version), store.open(path), image.column or "")
        assert image.row
        return self._rows.read(*image.row)


def _one_spelling(path: str) -> str:
    if os.path.isdir(path):
        return real_path(path)
    folder = posixpath.dirname(path) if os.path.lexists(path) else pattern_folder(path)
    return real_path(folder or "/").rstrip("/") + path[len(folder.rstrip("/")) :]
