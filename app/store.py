"""What the server keeps for its visitors, bounded in bytes and time: photos, embeddings, answers, models.

Nothing here is precious. A photo that is gone is sent again by its page; the rest is computed anew.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

import torch
from cachetools import LRUCache, TTLCache

import repvit_sam
from repvit_sam.checkpoints import ALIASES, CHECKPOINTS
from repvit_sam.embedding import EncodedPhoto
from repvit_sam.errors import PhotoError
from repvit_sam.modeling.sam import SamModel
from repvit_sam.photo import Photo, read_photo
from repvit_sam.predictor import SamPredictor

from .inference import AnswerKey, Candidates
from .schemas import MessageError

KEEP_SECONDS = 3600
PHOTO_BYTES = 512 * 2**20  # of all photos together, as they were uploaded
MAX_PIXELS = 50_000_000  # of one photo
_EMBEDDINGS = 64  # 4 MiB each
_ANSWERS = 200  # 0.75 MiB each
_MODELS = 2


class GoneError(LookupError):
    """A photo that the server does not have, or no longer."""


@dataclass(frozen=True)
class StoredPhoto:
    """A visitor's photo, undecoded: a tenth of the memory.

    Attributes:
        token: whoever has it may work on the photo; nobody can guess it.
        data: the uploaded file, or the path of an example.
    """

    token: str
    name: str
    data: bytes | Path
    photo_hw: tuple[int, int]

    def pixels(self) -> Photo:
        return read_photo(self.data)


class Photos:
    """Uploaded photos by token, and the examples, which are everybody's."""

    def __init__(self, examples: list[Path]) -> None:
        self._lock = threading.Lock()
        self._stored: TTLCache[str, StoredPhoto] = TTLCache(PHOTO_BYTES, KEEP_SECONDS, getsizeof=_stored_bytes)
        self.examples = {path.stem: path for path in examples}

    def add(self, name: str, data: bytes) -> tuple[StoredPhoto, Photo]:
        """Decode and keep an upload.

        Raises:
            PhotoError: it is no photo, or too large for the page.
        """
        try:
            photo = read_photo(data, MAX_PIXELS)
        except PhotoError as error:
            raise PhotoError(str(error).replace("the given bytes", name)) from None
        stored = StoredPhoto(secrets.token_urlsafe(18), name, data, (photo.shape[0], photo.shape[1]))
        with self._lock:
            self._stored[stored.token] = stored
        return stored, photo

    def get(self, token: str) -> StoredPhoto:
        """The photo; asking for it keeps it for another while.

        Raises:
            GoneError: forgotten, or never had.
        """
        with self._lock:
            stored = self._stored.get(token)
            if stored is None and token.removeprefix("example-") in self.examples:
                path = self.examples[token.removeprefix("example-")]
                stored = StoredPhoto(token, path.name, path, read_photo(path).shape[:2])
            if stored is None:
                raise GoneError("the server no longer has this photo; open it again")
            self._stored[token] = stored
            return stored


class Models:
    """Checkpoints on this machine, loaded when they are wanted. Used by the worker's thread alone."""

    def __init__(self, checkpoint: str, device: str) -> None:
        self.first = checkpoint if checkpoint in _installed() else Path(checkpoint).name  # folders stay on the server
        self._first_is_at = checkpoint
        self._device = device
        self._loaded: LRUCache[str, SamModel] = LRUCache(_MODELS)
        self.device = self[self.first].device

    def names(self) -> dict[str, str]:
        """Name -> what to show; the one that the server was started with first."""
        return {self.first: self.first, **_installed()}

    def __getitem__(self, name: str) -> SamModel:
        """Raises MessageError for a name that is not on the list: no path of a visitor's is opened."""
        if name not in self.names():
            raise MessageError(f"checkpoint {name!r} is not installed here; there are {', '.join(self.names())}")
        if name not in self._loaded:
            place = self._first_is_at if name == self.first else name
            self._loaded[name] = repvit_sam.load(place, self._device)
        return self._loaded[name]


class Encoded:
    """Embeddings and answers, by photo and checkpoint. Used by the worker's thread alone."""

    def __init__(self) -> None:
        self._embeddings: TTLCache[tuple[str, str], EncodedPhoto] = TTLCache(_EMBEDDINGS, KEEP_SECONDS)
        self._answers: TTLCache[AnswerKey, Candidates] = TTLCache(_ANSWERS, KEEP_SECONDS)

    def has(self, stored: StoredPhoto, checkpoint: str) -> bool:
        return (stored.token, checkpoint) in self._embeddings

    @torch.inference_mode()
    def get(self, stored: StoredPhoto, checkpoint: str, model: SamModel, photo: Photo | None = None) -> EncodedPhoto:
        """The embedding, computed where it is not there (any more); ``photo`` saves decoding."""
        key = (stored.token, checkpoint)
        if key not in self._embeddings:
            predictor = SamPredictor(model)
            predictor.set_image(stored.pixels() if photo is None else photo)
            self._embeddings[key] = predictor.encoded
        return self._embeddings[key]

    @property
    def answers(self) -> MutableMapping[AnswerKey, Candidates]:
        """By photo, checkpoint and chain; see candidates.py."""
        return self._answers


def _installed() -> dict[str, str]:
    aliases = {name: alias for alias, name in ALIASES.items()}
    return {
        aliases.get(name, name): f"{aliases[name]}: {name}" if name in aliases else name
        for name, entry in CHECKPOINTS.items()
        if entry.here
    }


def _stored_bytes(stored: StoredPhoto) -> int:
    return 1024 + (len(stored.data) if isinstance(stored.data, bytes) else 0)
