"""The teacher's embeddings on disk: flat shards, one record of fixed size a photo, many writers at once.

    CACHE/manifest.json         teacher, fingerprint, canvas, precision, shape: what all rows have in common
    CACHE/photos.txt            the photos' names, one a line: line n is row n
    CACHE/shard-00000.fp16      rows 0..255: (256, S/16, S/16) float16 each, 2 MiB at 1024, one behind the other
    CACHE/shard-00000.index     16 bytes a row: state, content height and width, CRC-32 of embedding and record

Every row has its offset from the start, so writers only have to agree on who takes which row. A record is written after
its embedding has reached the disk: a process that is killed leaves rows that are complete or missing, nothing between.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repvit_sam.canvas import EMBEDDING_CHANNELS, EMBEDDING_STRIDE
from repvit_sam.embedding import encoder_fingerprint
from repvit_sam.files import atomic_write
from repvit_sam.foreign_json import read_foreign_json
from repvit_sam.modeling.sam import SamModel

FORMAT = "repvit-sam-embedding-cache/1"
PREPROCESSING = "photo -> sRGB uint8, bilinear to the canvas, SAM's mean and std, zeros beyond the photo"
ROWS_PER_SHARD = 256  # half a GiB at 1024

_RECORD = np.dtype(
    [("state", "<u2"), ("height", "<u2"), ("width", "<u2"), ("pad", "<u2"), ("crc", "<u4"), ("check", "<u4")]
)


class RowState(IntEnum):
    """State of a row; a new file is all zeros."""

    MISSING = 0
    DONE = 1
    SKIPPED = 2  # the photo could not be read


class CacheError(ValueError):
    """A cache cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Manifest:
    """What all embeddings of a cache have in common."""

    teacher: str
    fingerprint: str
    canvas_size: int
    precision: str
    preprocessing: str = PREPROCESSING
    format: str = FORMAT

    @classmethod
    def of(cls, teacher: SamModel, name: str, precision: str) -> Manifest:
        return cls(Path(name).name, encoder_fingerprint(teacher.image_encoder), teacher.canvas_size, precision)

    @property
    def shape(self) -> tuple[int, int, int]:
        side = self.canvas_size // EMBEDDING_STRIDE
        return EMBEDDING_CHANNELS, side, side

    @property
    def row_bytes(self) -> int:
        return 2 * int(np.prod(self.shape))

    def check_same(self, other: Manifest, folder: Path) -> None:
        """Raise CacheError where the other's embeddings would not be these."""
        differing = {
            "teacher": (self.fingerprint, other.fingerprint, f"{self.teacher}, not {other.teacher}"),
            "canvas": (self.canvas_size, other.canvas_size, f"{self.canvas_size} pixels, not {other.canvas_size}"),
            "preprocessing": (self.preprocessing, other.preprocessing, f"{self.preprocessing!r}"),
            "format": (self.format, other.format, f"{self.format}, not {other.format}"),
        }
        for what, (mine, given, words) in differing.items():
            if mine != given:
                raise CacheError(
                    f"{folder} was made with another {what} ({words}); take that one, or make another cache"
                )


class EmbeddingCache:
    """An existing cache: reads and writes rows, which are counted through all shards.

    Attributes:
        names: the photos, by row.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "manifest.json"
        try:
            self.manifest = Manifest(**read_foreign_json(path))
            self.names = (folder / "photos.txt").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise CacheError(
                f"{folder} is not an embedding cache; make one: python distill/cache_embeddings.py --cache {folder} ..."
            ) from None
        except (TypeError, ValueError) as error:
            raise CacheError(f"{path} is damaged ({error})") from None
        self._shards: dict[int, NDArray[np.float16]] = {}

    @classmethod
    def prepare(cls, folder: Path, manifest: Manifest, names: Sequence[str]) -> EmbeddingCache:
        """Make a cache for these photos, or add them behind those of an existing one.

        Every writer calls this and writes the same, so none has to be first.

        Raises:
            CacheError: the folder holds the embeddings of another teacher, canvas, preprocessing or precision.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "manifest.json").exists():
            cache = cls(folder)
            cache.manifest.check_same(manifest, folder)
            if cache.manifest.precision != manifest.precision:
                raise CacheError(
                    f"{folder} was made in {cache.manifest.precision}; continue with --precision "
                    f"{cache.manifest.precision}, or take another --cache folder"
                )
            known = set(cache.names)
            names = cache.names + [name for name in names if name not in known]
        with atomic_write(folder / "photos.txt") as beside:
            beside.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        with atomic_write(folder / "manifest.json") as beside:
            beside.write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
        cache = cls(folder)
        for shard in range(-(-len(names) // ROWS_PER_SHARD)):
            rows = min(ROWS_PER_SHARD, len(names) - shard * ROWS_PER_SHARD)
            _grow(cache._path(shard, "fp16"), rows * manifest.row_bytes)
            _grow(cache._path(shard, "index"), rows * _RECORD.itemsize)
        return cache

    def records(self) -> NDArray[np.void]:
        """(rows,) of state, height, width and crc; an incomplete record counts as missing."""
        parts = [
            np.fromfile(self._path(shard, "index"), dtype=_RECORD)
            for shard in range(-(-len(self.names) // ROWS_PER_SHARD))
        ]
        records = np.concatenate(parts) if parts else np.zeros(0, _RECORD)
        for row in np.flatnonzero(records["state"]):
            if records[row]["check"] != _check(records[row], int(row)):
                records[row]["state"] = RowState.MISSING
        return records

    def write(self, rows: Sequence[int], embeddings: Tensor | None, contents_hw: Sequence[tuple[int, int]]) -> None:
        """Store (n, 256, S/16, S/16) embeddings, then their records; None marks photos that cannot be read."""
        crcs = [0] * len(rows)
        if embeddings is not None:
            data = [embedding.to("cpu", torch.float16).contiguous().numpy().tobytes() for embedding in embeddings]
            crcs = [zlib.crc32(part) for part in data]
            self._write_at("fp16", rows, data, self.manifest.row_bytes)
        records = np.zeros(len(rows), _RECORD)
        for record, row, (height, width), crc in zip(records, rows, contents_hw, crcs, strict=True):
            record["state"] = RowState.SKIPPED if embeddings is None else RowState.DONE
            record["height"], record["width"], record["crc"] = height, width, crc
            record["check"] = _check(record, row)
        self._write_at("index", rows, [record.tobytes() for record in records], _RECORD.itemsize)

    def forget(self, row: int) -> None:
        """Let a row count as missing."""
        self._write_at("index", [row], [bytes(_RECORD.itemsize)], _RECORD.itemsize)

    def read(self, row: int) -> Tensor:
        """(256, S/16, S/16) float16, a copy."""
        shard, inside = divmod(row, ROWS_PER_SHARD)
        if shard not in self._shards:
            stored = np.memmap(self._path(shard, "fp16"), dtype=np.float16, mode="r")
            self._shards[shard] = stored.reshape(-1, *self.manifest.shape)
        return torch.from_numpy(np.array(self._shards[shard][inside]))

    def rows_of(self, names: Sequence[str]) -> list[int]:
        """The rows of these photos.

        Raises:
            CacheError: some have not been encoded.
        """
        records = self.records()
        row_of = {name: row for row, name in enumerate(self.names) if records[row]["state"] == RowState.DONE}
        missing = [name for name in names if name not in row_of]
        if missing:
            raise CacheError(
                f"{len(missing)} of {len(names)} photos are not in {self.folder} (the first: {missing[0]}); "
                "run distill/cache_embeddings.py on the same data to complete it"
            )
        return [row_of[name] for name in names]

    def skipped_names(self) -> set[str]:
        """The photos that could not be read when the cache was made."""
        return {self.names[row] for row in np.flatnonzero(self.records()["state"] == RowState.SKIPPED)}

    def content_hw(self, row: int) -> tuple[int, int]:
        """How much of its canvas the photo covered, height and width in pixels."""
        record = self._final_records[row]
        return int(record["height"]), int(record["width"])

    @cached_property
    def _final_records(self) -> NDArray[np.void]:
        """Read once: for readers of a cache that is complete."""
        return self.records()

    def damaged_rows(self) -> Iterator[tuple[int, bool]]:
        """(row, whether its bytes are not those that were written), for every row that is done."""
        records = self.records()
        for row in np.flatnonzero(records["state"] == RowState.DONE):
            yield int(row), zlib.crc32(self.read(int(row)).numpy().tobytes()) != records[row]["crc"]

    def _path(self, shard: int, kind: str) -> Path:
        return self.folder / f"shard-{shard:05d}.{kind}"

    def _write_at(self, kind: str, rows: Sequence[int], data: Sequence[bytes], row_bytes: int) -> None:
        for shard in sorted({row // ROWS_PER_SHARD for row in rows}):
            with self._path(shard, kind).open("r+b") as stream:
                for row, part in zip(rows, data, strict=True):
                    if row // ROWS_PER_SHARD == shard:
                        stream.seek(row % ROWS_PER_SHARD * row_bytes)
                        stream.write(part)
                stream.flush()
                os.fsync(stream.fileno())


def _check(record: np.void, row: int) -> int:
    return zlib.crc32(record.tobytes()[:12] + row.to_bytes(8, "little"))


def _grow(path: Path, size: int) -> None:
    """Make a file at least this large and keep its content (append mode neither truncates nor races)."""
    with path.open("ab"):
        pass
    if path.stat().st_size < size:
        os.truncate(path, size)
