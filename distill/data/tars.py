"""Photos in tar archives, SA-1B's among them (``sa_1.jpg`` beside ``sa_1.json``), read in place."""

from __future__ import annotations

from pathlib import Path

from repvit_sam.photo import SUFFIXES
from repvit_sam.tar_members import TarMember, tar_members

from .photo_set import FileSlice, PhotoItem, PhotoSet


def read_tar(path: Path) -> PhotoSet:
    """The photos of an archive, with their json files."""
    with path.open("rb") as stream:
        members, incomplete = tar_members(stream, path.name)

    def slice_of(member: TarMember) -> FileSlice:
        return FileSlice(path, member.offset, member.size)

    items = []
    for name, member in members.items():
        if Path(name).suffix.lower() in SUFFIXES:
            annotations = members.get(str(Path(name).with_suffix(".json")))
            beside = slice_of(annotations) if annotations else None
            items.append(PhotoItem(f"{path.name}/{name}", slice_of(member), beside))
    return PhotoSet(tuple(items), tuple(incomplete))
