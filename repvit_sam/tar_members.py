"""Where the members of a tar archive lie, so that each can be read in place.

Nothing is unpacked: a tar is scanned once for the offsets of its members, then read at random. (webdataset, the library
made for such tars, only streams them; a run that continues at exactly the sample it stopped at needs random access,
which the standard library's ``tarfile`` gives.)
"""

from __future__ import annotations

import io
import tarfile
from typing import BinaryIO, NamedTuple


class TarMember(NamedTuple):
    """Bytes of a member, from the archive's beginning."""

    offset: int
    size: int


def tar_members(stream: BinaryIO, name: str) -> tuple[dict[str, TarMember], list[str]]:
    """The members of an archive.

    Args:
        stream: the archive, uncompressed, opened for reading; it must be able to seek.
        name: of the archive, for the second result.

    Returns:
        every complete file by name, in the archive's order; and for each incomplete one a few words that say where.
    """
    members: dict[str, TarMember] = {}
    incomplete: list[str] = []
    length = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    expected = 0  # where the next header should stand
    try:
        # ignore_zeros: after a damaged header go on at the next good one, instead of stopping without an error
        with tarfile.open(fileobj=stream, mode="r:", ignore_zeros=True) as tar:
            for member in tar:
                if member.offset > expected:
                    incomplete.append(f"{name} between bytes {expected} and {member.offset}")
                expected = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                if not member.isfile():
                    continue
                if member.offset_data + member.size > length:
                    incomplete.append(f"{name}/{member.name}")
                else:
                    members[member.name.removeprefix("./")] = TarMember(member.offset_data, member.size)
    except tarfile.ReadError:
        if not members:
            incomplete.append(f"{name} (no tar archive, or cut off in its first member)")
            return members, incomplete
    # where a member is cut off, it is named already
    if expected <= length and not _ends_at(stream, expected):
        incomplete.append(f"{name} after byte {expected}")
    return members, incomplete


def _ends_at(stream: BinaryIO, offset: int) -> bool:
    """Whether a block of zeros follows, as at the end of every complete archive."""
    stream.seek(offset)
    return stream.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
