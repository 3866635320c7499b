"""What the server keeps, bounded in memory and time: photos, models, image embeddings and candidate masks.

Nothing in a store is lost for good: a page sends an expired photo again, and everything else is computed again.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cachetools import LRUCache, TTLCache

import repvit_sam
from repvit_sam import EncodedPhoto, PhotoError
from repvit_sam.backends import Backend, as_backend
from repvit_sam.checkpoints import ALIASES, CHECKPOINTS
from repvit_sam.everything_thresholds import EverythingThresholds, thresholds_of
from repvit_sam.photo import Photo, read_photo

from .inference import Candidates, CandidatesKey
from .limits import MAX_PIXELS
from .schemas import RequestError

KEEP_SECONDS = 3600
MAX_PHOTO_BYTES = 512 * 2**20  # of all photos together, as they were uploaded
_MAX_EMBEDDINGS = 64  # 4 MiB each
_MAX_CANDIDATES = 200  # 0.75 MiB each, 1 MiB where one is refined
_MAX_VIEWS = 16  # about 0.5 MiB each
_MAX_MODELS = 2
_EXAMPLE = "example-"  # an example's token is this and its name
_FILE = "file-"


class PhotoExpiredError(LookupError):
    """A photo that the server does not have, or no longer."""


@dataclass(frozen=True)
class StoredPhoto:
    """A photo as it was uploaded, not decoded: that takes a tenth of the memory.

    Attributes:
        token: names the photo. It cannot be guessed, so only who uploaded a photo can work on it.
        data: the uploaded file, or the path of an example.
    """

    token: str
    name: str
    data: bytes | Path
    photo_hw: tuple[int, int]

    def pixels(self) -> Photo:
        """(H, W, 3), decoded."""
        return read_photo(self.data)


class PhotoStore:
    """Uploaded photos by their tokens, and the example photos, which all visitors share."""

    def __init__(self, examples: list[Path]) -> None:
        self._lock = threading.Lock()
        self._stored: TTLCache[str, StoredPhoto] = TTLCache(MAX_PHOTO_BYTES, KEEP_SECONDS, getsizeof=_stored_bytes)
        self.examples = {path.stem: path for path in examples}

    def add(self, name: str, data: bytes) -> tuple[StoredPhoto, Photo]:
        """Decode an upload and keep it.

        Raises:
            PhotoError: not a picture, or too large for the page.
        """
        try:
            photo = read_photo(data, MAX_PIXELS)
        except PhotoError as error:
            raise PhotoError(str(error).replace("the given bytes", name)) from None
        stored = StoredPhoto(secrets.token_urlsafe(18), name, data, (photo.shape[0], photo.shape[1]))
        with self._lock:
            self._stored[stored.token] = stored
        return stored, photo

    def add_file(self, name: str, path: Path) -> StoredPhoto:
        """A file of this machine, which is read again whenever its pixels are needed.

        Raises:
            PhotoError: not a picture, or too large for the page.
        """
        try:
            changed_at = path.stat().st_mtime_ns  # a changed file is another photo
        except OSError as error:
            raise PhotoError(f"{name} cannot be read: {error.strerror}") from None
        token = _FILE + hashlib.sha256(f"{changed_at} {path}".encode()).hexdigest()[:32]
        with self._lock:
            stored = self._stored.get(token)
            if stored is None:
                try:
                    height, width = read_photo(path, MAX_PIXELS).shape[:2]
                except PhotoError as error:
                    raise PhotoError(str(error).replace(str(path), name)) from None
                stored = StoredPhoto(token, name, path, (height, width))
            self._stored[token] = stored
            return stored

    def get(self, token: str) -> StoredPhoto:
        """The photo with this token; its time in the store starts again.

        Raises:
            PhotoExpiredError: it expired, or was never here.
        """
        with self._lock:
            stored = self._stored.get(token)
            if stored is None and token.removeprefix(_EXAMPLE) in self.examples:
                path = self.examples[token.removeprefix(_EXAMPLE)]
                stored = StoredPhoto(token, path.name, path, read_photo(path).shape[:2])
            if stored is None:
                raise PhotoExpiredError("the server no longer has this photo; open it again")
            self._stored[token] = stored
            return stored

    def example(self, name: str) -> StoredPhoto:
        """Raises RequestError for a name that is not on the list: no path of a visitor's is opened."""
        if name not in self.examples:
            raise RequestError(f"there is no example {name!r}; the examples are {', '.join(self.examples)}")
        return self.get(_EXAMPLE + name)


class ModelStore:
    """The checkpoints on this machine, each loaded when it is first used. For the scheduler's thread alone.

    Attributes:
        first: the name of the checkpoint that the server was started with.
        device: where the models compute.
        label: what computes the image encoder, such as "OpenVINO bf16".
    """

    def __init__(self, checkpoint: str, device: str, engine: str = "torch", precision: str = "auto") -> None:
        self.first = checkpoint if checkpoint in _installed(checkpoint) else Path(checkpoint).name  # no folders shown
        self._first_path = checkpoint
        self._load = partial(repvit_sam.load, device=device, engine=engine, precision=precision)
        self._loaded: LRUCache[str, Backend] = LRUCache(_MAX_MODELS)
        backend = self.get(self.first)
        self.device, self.label = backend.device, backend.label

    def names(self) -> dict[str, str]:
        """Name -> label, each checkpoint once; the one that the server was started with first."""
        return {self.first: self.first, **_installed(self.first)}

    def thresholds(self, name: str) -> EverythingThresholds:
        """Those of everything mode; of a checkpoint that is not loaded yet without loading it."""
        name = self._listed(name)
        if name in self._loaded:
            return thresholds_of(self._loaded[name])
        entry = CHECKPOINTS.get(_full_name(name))
        return EverythingThresholds(*(entry.everything_thresholds if entry else ()))

    def about(self, name: str) -> str:
        """What it is and when to take it; empty for a file without a name."""
        entry = CHECKPOINTS.get(_full_name(name))
        return entry.about if entry else ""

    def get(self, name: str) -> Backend:
        """Raises RequestError for a name that is not on the list: no path of a visitor's is opened."""
        listed = self._listed(name)
        if listed not in self.names():
            raise RequestError(f"checkpoint {name!r} is not installed here; there are {', '.join(self.names())}")
        if listed not in self._loaded:
            # as a backend, which keeps what it computed once for each photo
            self._loaded[listed] = as_backend(self._load(self._first_path if listed == self.first else listed))
        return self._loaded[listed]

    def _listed(self, name: str) -> str:
        """The name in the list of a checkpoint that has several."""
        return next((listed for listed in self.names() if _full_name(listed) == _full_name(name)), name)


class ResultStore:
    """What was computed before, for the scheduler's thread alone.

    Attributes:
        embeddings: by token and checkpoint.
        candidates: by token, checkpoint and prompts; see ``inference.candidates_key``.
        views: pictures for the screen as data URLs, by token.
    """

    def __init__(self) -> None:
        self.embeddings: MutableMapping[tuple[str, str], EncodedPhoto] = TTLCache(_MAX_EMBEDDINGS, KEEP_SECONDS)
        self.candidates: MutableMapping[CandidatesKey, Candidates] = TTLCache(_MAX_CANDIDATES, KEEP_SECONDS)
        self.views: MutableMapping[str, str] = TTLCache(_MAX_VIEWS, KEEP_SECONDS)


def _installed(shown: str) -> dict[str, str]:
    """Name -> label of the checkpoints whose files are on this machine; of several names ``shown``, else the first."""
    listed = {}
    for name, entry in CHECKPOINTS.items():
        if entry.here:
            names = [*(alias for alias, of in ALIASES.items() if of == name), name]
            chosen = shown if shown in names else names[0]
            listed[chosen] = name if chosen == name else f"{chosen}: {name}"
    return listed


def _full_name(name: str) -> str:
    return ALIASES.get(name, name)


def _stored_bytes(stored: StoredPhoto) -> int:
    return 1024 + (len(stored.data) if isinstance(stored.data, bytes) else 0)
