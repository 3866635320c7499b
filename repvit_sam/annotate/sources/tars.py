"""Images in tar archives: SA-1B's, webdatasets, any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from ...photo import SUFFIXES
from ...tar_members import tar_members
from .files import version_of
from .source_image import SourceImage, unsafe_name
from .store import Store


def images_of_tar(store: Store, path: str, name: str) -> Iterator[SourceImage]:
    """The images of an archive in its order, then what of it is cut off or damaged, as refused images.

    Args:
        name: of the archive in the source; images are named after it, without ``.tar``.
    """
    version = version_of(store.info(path))
    with store.open(path) as stream:
        members, incomplete = tar_members(stream, name)
    folder, address = name.removesuffix(".tar"), store.full_path(path)
    for member_name, member in members.items():
        if PurePosixPath(member_name).suffix.lower() in SUFFIXES:
            place = f"{folder}/{member_name}"
            refused = unsafe_name(member_name) or unsafe_name(place)
            yield SourceImage(place, address, member.size, version, member.offset, refused=refused)
    for what in incomplete:
        yield SourceImage(what, address, refused="the archive is damaged or cut off there")
