"""What is known of each photo so far, on disk: one JSON line a photo, so that a run that is killed can go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from repvit_sam.files import atomic_write

Record = dict[str, Any]  # what a program found out about one photo; goes into JSON as it is


class RecordFolder:
    """``DIR/settings.json`` and ``DIR/records-RANK.jsonl``, one file for each process that writes.

    A line is flushed when its photo is done; a line that is none (the kill or a power cut came while it was written)
    counts as not done.

    Args:
        settings: everything that decides the records. A folder holds the records of one set of settings.

    Raises:
        ValueError: the folder holds records of other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], rank: int = 0) -> None:
        self.folder = folder
        self._path = folder / f"records-{rank}.jsonl"
        _claim(folder / "settings.json", settings)

    def known(self) -> dict[str, Record]:
        """Key of the photo -> its record, from all processes; the first one counts."""
        found: dict[str, Record] = {}
        for path in sorted(self.folder.glob("records-*.jsonl")):
            for line in path.read_bytes().splitlines(keepends=True):
                entry = _entry(line)
                if entry:
                    found.setdefault(entry["key"], entry["record"])
        return found

    def append(self, key: str, record: Record) -> None:
        with self._path.open("ab+") as stream:
            stream.seek(0, 2)
            if stream.tell():
                stream.seek(-1, 2)
                if stream.read(1) != b"\n":  # a torn line: cut it off, or ours would become part of it
                    stream.truncate(_end_of_last_line(self._path))
            stream.write(json.dumps({"key": key, "record": record}, separators=(",", ":")).encode() + b"\n")


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line.decode("ascii")) if line.endswith(b"\n") else None  # json.dumps writes ASCII
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"key", "record"} <= entry.keys() else None


def _end_of_last_line(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1


def _claim(path: Path, settings: dict[str, Any]) -> None:
    wanted = json.loads(json.dumps(settings))  # tuples become lists, as they will be read
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
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(wanted, indent=1), encoding="utf-8")
