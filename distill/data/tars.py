"""Photos in tar archives, SA-1B's among them (``sa_1.jpg`` beside ``sa_1.json``).

Nothing is unpacked: a tar is scanned once for the offsets of its members, then read at random. (webdataset, the library
made for such tars, only streams them; a run that continues at exactly the sample it stopped at needs random access,
which the standard library's ``tarfile`` gives.)
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from repvit_sam.photo import SUFFIXES

from .photo_set import FileSlice, PhotoItem, PhotoSet


def read_tar(path: Path) -> PhotoSet:
    """The photos of an archive, with their json files."""
    members, incomplete = _members(path)
    items = []
    for name, member in members.items():
        if Path(name).suffix.lower() in SUFFIXES:
            annotations = members.get(str(Path(name).with_suffix(".json")))
            items.append(PhotoItem(f"{path.name}/{name}", member, annotations))
    return PhotoSet(tuple(items), tuple(incomplete))


def _members(path: Path) -> tuple[dict[str, FileSlice], list[str]]:
    """Name -> slice of every complete member; names of the incomplete ones."""
    members: dict[str, FileSlice] = {}
    incomplete: list[str] = []
    length = path.stat().st_size
    expected = 0  # where the next header should stand
    try:
        # ignore_zeros: after a damaged header go on at the next good one, instead of stopping without an error
        with tarfile.open(path, "r:", ignore_zeros=True) as tar:
            for member in tar:
                if member.offset > expected:
                    incomplete.append(f"{path.name} between bytes {expected} and {member.offset}")
                expected = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                if not member.isfile():
                    continue
                if member.offset_data + member.size > length:
                    incomplete.append(f"{path.name}/{member.name}")
                else:
                    members[member.name.removeprefix("./")] = FileSlice(path, member.offset_data, member.size)
    except tarfile.ReadError:
        if not members:
            incomplete.append(f"{path.name} (no tar archive, or cut off in its first member)")
            return members, incomplete
    # where a member is cut off, it is named already
    if expected <= length and not _ends_at(path, expected):
        incomplete.append(f"{path.name} after byte {expected}")
    return members, incomplete


def _ends_at(path: Path, offset: int) -> bool:
    """Whether a block of zeros follows, as at the end of every complete archive."""
    with path.open("rb") as stream:
        stream.seek(offset)
        return stream.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
