"""Files by fsspec, on this machine or in a store, of which every failure is an OSError or a ValueError.

The file systems of fsspec raise what their own libraries raise (botocore, aiohttp, Google's), and these errors have no
class in common. Here is the one place that knows it: all access to a source goes through a ``Store``.
"""

from __future__ import annotations

import asyncio
import errno
import io
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, TypeVar

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.core import url_to_fs

Answer = TypeVar("Answer")

_TRIES = 4  # of what may be different a moment later, with pauses of about 1, 2 and 4 s
_LONGEST_PAUSE = 10.0  # seconds

# EBUSY and EREMOTEIO are s3fs's words for 503 and 500
_TEMPORARY_NUMBERS = {
    getattr(errno, name)
    for name in ("EAGAIN", "EBUSY", "EREMOTEIO", "ENETDOWN", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "ETIMEDOUT")
    if hasattr(errno, name)
}
_TEMPORARY_STATUS = (408, 429, 500, 502, 503, 504)  # of HTTP
_TEMPORARY_NAMES = ("Timeout", "Connect", "Disconnect", "IncompleteRead", "PayloadError")
_OF_THE_FILE = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP)
_WALKING_FIND = fsspec.AbstractFileSystem.find
_NAMES_OF_THE_STORE = ("Credential", "Auth", "Token", "Refresh")  # no image of the store could be read with these


class StoreError(OSError):
    """What a store's own library raised at one file; ``strerror`` is its sentence, ``filename`` the address."""


class StoreUnavailableError(StoreError):
    """The store did not answer, or did not let this program in: the file may be in order."""


class Store:
    """A file system of fsspec, with its methods and their arguments.

    A failure that may be gone a moment later is tried again, four times in all, except on this machine.

    Raises (all methods):
        OSError: as the file system raises it. ``StoreError`` where it raises another error.
        ValueError: as the file system raises it: the path is none that it can have.
    """

    def __init__(self, system: Any) -> None:
        self._system = system

    @classmethod
    def at(cls, address: str) -> tuple[Store, str]:
        """The store of an address, and the path in it.

        Raises:
            ValueError: the address needs a library that is not installed, or is none that fsspec opens.
            OSError: the store cannot be reached.
        """
        try:
            system, path = _translated(address, lambda: url_to_fs(address))
        except ImportError as error:
            raise ValueError(f"{address} needs another library to be opened: {error}") from None
        except ValueError as error:
            raise ValueError(f"{address} is no path and no address that can be opened: {error}") from None
        store = cls(system)
        if not store.is_local and find_spec("tenacity") is None:
            raise ValueError(f"{address} is a store, which needs tenacity: pip install 'repvit-sam[annotate]'")
        return store, path

    @property
    def is_local(self) -> bool:
        """Whether it is the disk of this machine."""
        return isinstance(self._system, fsspec.get_filesystem_class("file"))

    def full_path(self, path: str) -> str:
        """An absolute path for a local file, else an address, from which ``at`` gets here again."""
        return path if self.is_local else str(self._system.unstrip_protocol(path))

    def info(self, path: str) -> dict[str, Any]:
        """What is known of a file."""
        return self._asked(path, lambda: self._system.info(path))

    def isdir(self, path: str) -> bool:
        """Whether it is a folder."""
        if self._asked(path, lambda: bool(self._system.isdir(path))):
            return True
        return self._info_if_there(path).get("type") == "directory"

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return self._asked(path, lambda: bool(self._system.exists(path))) or bool(self._info_if_there(path))

    def glob(self, pattern: str) -> dict[str, dict[str, Any]]:
        """The files of a pattern with what is known of each."""
        return self._asked(pattern, lambda: self._system.glob(pattern, detail=True))

    def find(self, folder: str) -> dict[str, dict[str, Any]]:
        """The files below a folder with what is known of each."""
        kind = type(self._system)
        walks = kind._find is AsyncFileSystem._find if issubclass(kind, AsyncFileSystem) else kind.find is _WALKING_FIND
        if walks and not self.is_local:
            return self._found_by_walking(folder)
        return self._asked(folder, lambda: self._system.find(folder, detail=True))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a file, or a part of them."""
        return self._asked(path, lambda: self._system.cat_file(path, start=start, end=end))

    def open(self, path: str) -> Any:
        """A stream of bytes that can seek, opened for reading."""
        stream = self._asked(path, lambda: self._system.open(path, "rb"))
        return stream if self.is_local else _Stream(stream, lambda work: self._asked(path, work))

    def _info_if_there(self, path: str) -> dict[str, Any]:
        """Nothing where there is no such file; fsspec's ``isdir`` and ``exists`` say no without an answer too."""
        try:
            return self.info(path)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}

    def _found_by_walking(self, folder: str) -> dict[str, dict[str, Any]]:
        """As fsspec's own ``walk``, which leaves out a folder in a folder that the store did not list."""
        files: dict[str, dict[str, Any]] = {}
        folders = [folder]
        known = {folder.rstrip("/")}
        while folders:
            upcoming = folders.pop()
            for info in self._asked(upcoming, partial(self._system.ls, upcoming, detail=True)):
                name = info["name"]
                if info["type"] != "directory":
                    files[name] = info
                elif name.rstrip("/") not in known:
                    known.add(name.rstrip("/"))
                    folders.append(name)
        return files

    def _asked(self, path: str, work: Callable[[], Answer]) -> Answer:
        if self.is_local:
            return work()
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

        address = self.full_path(path)
        tries = Retrying(
            stop=stop_after_attempt(_TRIES),
            wait=wait_exponential_jitter(initial=1, max=_LONGEST_PAUSE, jitter=0.5),
            retry=retry_if_exception(_is_temporary),
            reraise=True,
        )
        return _translated(address, lambda: tries(work))


class _Stream(io.BufferedIOBase):
    """A stream of a store, whose reads are asked for as everything else is."""

    def __init__(self, stream: Any, asked: Callable[[Callable[[], Any]], Any]) -> None:
        self._stream, self._asked = stream, asked

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._stream.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return int(self._asked(lambda: self._stream.seek(offset, whence)))

    def read(self, size: int | None = -1, /) -> bytes:
        place = self.tell()

        def again() -> bytes:
            self._stream.seek(place)
            return bytes(self._stream.read(-1 if size is None else size))

        return bytes(self._asked(again))

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def is_of_the_file(error: OSError) -> bool:
    """Whether it is wrong with one file, and will be the next time.

    Other errors of a system (too many open files, no connection, a disk that is not there) would fail thousands of
    images that are in order.
    """
    if isinstance(error, StoreError):
        return not isinstance(error, StoreUnavailableError)
    return isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)) or error.errno in _OF_THE_FILE


def _translated(address: str, work: Callable[[], Answer]) -> Answer:
    try:
        return work()
    except (OSError, ValueError, MemoryError, ImportError):
        raise
    except Exception as error:
        away = _is_temporary(error) or _is_called(error, _NAMES_OF_THE_STORE) or _status(error) in (401, 403)
        said = " ".join(str(error).split())
        sentence = f"{said} ({type(error).__name__})" if said else type(error).__name__
        # with a number, though the system has none for it: only then OSError keeps sentence and name apart
        raise (StoreUnavailableError if away else StoreError)(0, sentence, address) from error


def _is_temporary(error: BaseException) -> bool:
    if isinstance(error, (TimeoutError, asyncio.TimeoutError, ConnectionError)):
        return True
    if isinstance(error, (FileNotFoundError, PermissionError, ValueError)):
        return False
    if isinstance(error, OSError) and error.errno in _TEMPORARY_NUMBERS:
        return True
    return _status(error) in _TEMPORARY_STATUS or _is_called(error, _TEMPORARY_NAMES)


def _status(error: BaseException) -> int | None:
    """The HTTP status, where libraries put it: aiohttp, Google's, Azure's, requests', botocore."""
    response = getattr(error, "response", None)
    of_botocore = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
    named = (getattr(error, name, None) for name in ("status", "code", "status_code"))
    found = (*named, getattr(response, "status_code", None), of_botocore)
    return next((status for status in found if isinstance(status, int)), None)


def _is_called(error: BaseException, words: tuple[str, ...]) -> bool:
    """Whether a word is in the name of its class, or of one above it: libraries have no class in common."""
    return any(word in kind.__name__ for kind in type(error).__mro__ for word in words)
