"""The photos of a run: where each lies on disk, and where its masks are described."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Annotation = Mapping[str, Any]  # of COCO or SA-1B: has "segmentation" (polygons or RLE)


@dataclass(frozen=True)
class FileSlice:
    """Bytes on disk: a whole file, or a part of one."""

    path: Path
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """The bytes.

        Raises:
            OSError: the file is missing, unreadable, or shorter than expected.
        """
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            data = stream.read() if self.size is None else stream.read(self.size)
        if self.size is not None and len(data) != self.size:
            raise OSError(f"{self.path} is cut off at byte {self.offset + len(data)}")
        return data


@dataclass(frozen=True)
class PhotoItem:
    """One photo of a data set.

    Attributes:
        name: unique within the data: the source's own name, then the path inside it.
        file: the encoded photo.
        annotations: COCO's of this photo, or SA-1B's json file; None where the source has no masks.
    """

    name: str
    file: FileSlice
    annotations: tuple[Annotation, ...] | FileSlice | None = None


@dataclass(frozen=True)
class PhotoSet:
    """The photos of one or more sources.

    Attributes:
        incomplete: names of what was left out: members of cut-off or damaged tars, photos that are annotated but
            missing.
    """

    items: tuple[PhotoItem, ...]
    incomplete: tuple[str, ...] = ()

    @classmethod
    def joined(cls, parts: Iterable[PhotoSet]) -> PhotoSet:
        parts = list(parts)
        return cls(tuple(i for part in parts for i in part.items), tuple(n for part in parts for n in part.incomplete))

    def limited(self, limit: int | None) -> PhotoSet:
        """The first ``limit`` photos."""
        return replace(self, items=self.items[:limit])

    def manifest(self) -> dict[str, Any]:
        """What identifies the data in run.json: how many photos, and a hash over names and sizes."""
        lines = [f"{item.name}\t{item.file.size or item.file.path.stat().st_size}\n" for item in self.items]
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        sources = sorted({item.name.split("/")[0] for item in self.items})
        # "torn" is the name in the run.json of earlier runs, which are compared with this when they continue
        return {"photos": len(self.items), "torn": len(self.incomplete), "sources": sources, "sha256": digest}
