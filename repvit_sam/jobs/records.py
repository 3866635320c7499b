"""The records of a run on disk: one JSON line for each unit, so that a run that was killed can be resumed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..files import atomic_write

SETTINGS = "settings.json"
Record = dict[str, Any]  # what a program measured on one photo; must be JSON


class RecordFolder:
    """``DIR/settings.json`` and ``DIR/records-RANK.jsonl``, one file for each process that writes.

    A line is flushed when its photo is done. An incomplete or damaged line (from a kill or a power cut) is ignored, so
    that its photo is evaluated again.

    Args:
        settings: everything that decides the records. A folder holds the records of one set of settings.

    Raises:
        ValueError: the folder holds records of other settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], rank: int = 0) -> None:
        self.folder = folder
        self._path = folder / f"records-{rank}.jsonl"
        _check_or_write(folder / SETTINGS, settings)

    def read(self) -> dict[str, Record]:
        """The records of all processes by key; of several with one key the first."""
        found: dict[str, Record] = {}
        for key, record in self.entries():
            found.setdefault(key, record)
        return found

    def entries(self) -> Iterator[tuple[str, Record]]:
        """Key and record, line by line as they were written; a key may come twice."""
        for path in sorted(self.folder.glob("records-*.jsonl")):
            with path.open("rb") as stream:
                for line in stream:
                    entry = _parse(line)
                    if entry:
                        yield entry["key"], entry["record"]

    def forget(self, keys: Collection[str]) -> None:
        """Remove the records of these keys, so that the run goes on with them."""
        for path in sorted(self.folder.glob("records-*.jsonl")):
            with atomic_write(path, on_disk=True) as beside, path.open("rb") as stream, beside.open("wb") as kept:
                for line in stream:
                    entry = _parse(line)
                    if entry and entry["key"] not in keys:
                        kept.write(line)

    def append(self, key: str, record: Record) -> None:
        """Write one record at the end of this process's file."""
        with self._path.open("ab+") as stream:
            stream.seek(0, 2)
            if stream.tell():
                stream.seek(-1, 2)
                if stream.read(1) != b"\n":  # an incomplete line: remove it, or the new line would continue it
                    stream.truncate(_end_of_last_line(self._path))
            stream.write(json.dumps({"key": key, "record": record}, separators=(",", ":")).encode() + b"\n")


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line.decode("ascii")) if line.endswith(b"\n") else None  # json.dumps writes ASCII
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"key", "record"} <= entry.keys() else None


def _end_of_last_line(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1


def _check_or_write(path: Path, settings: Mapping[str, Any]) -> None:
    wanted = json.loads(json.dumps(settings))  # tuples become lists, as they are read back
    if path.is_file():
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise ValueError(f"{path} is damaged; give another --out, or delete the folder") from None
        differing = [key for key in sorted({*held, *wanted}) if held.get(key) != wanted.get(key)]
        if differing:
            key = differing[0]
            raise ValueError(
                f"{path.parent} holds a run with {key} = {held.get(key)!r}, this one has {wanted.get(key)!r}; "
                "give another --out, or delete the folder"
            )
        return
    with atomic_write(path, on_disk=True) as beside:
        beside.write_text(json.dumps(wanted, indent=1), encoding="utf-8")
