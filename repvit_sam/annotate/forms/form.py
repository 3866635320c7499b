"""What a form of output can do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Protocol

from PIL.Image import DecompressionBombError as PictureBomb

from ..image_masks import ImageMasks


class ShardWriter(Protocol):
    """Writes the images of one shard below a folder, at the places that they have below the results' folder."""

    def add(self, image: ImageMasks) -> None:
        """Take the next image, in the order of the shard; called in one thread."""

    def close(self) -> None:
        """Write what is still held, if there was an image."""


class Form(Protocol):
    """A form of output.

    Attributes:
        look_at: the file or files with the masks, relative to the results' folder.
    """

    look_at: ClassVar[str]

    def writer(self, folder: Path, shard: int) -> ShardWriter:
        """A writer for one shard."""

    def own_files(self, stem: str) -> tuple[str, ...]:
        """The files that an image has for itself, relative to the results' folder."""

    def shard_files(self, shard: int) -> tuple[str, ...]:
        """The files that a shard has for all its images, relative to the results' folder."""

    def finish(self, out: Path, shards: int, categories: Mapping[int, str]) -> None:
        """Put the shards together, where the form has one file for all."""

    def tidy(self, out: Path, shards: int) -> None:
        """Remove what of the shards is not needed any more once the results are whole."""

    def take_apart(self, out: Path, shards: Iterable[tuple[int, Collection[int]]]) -> None:
        """Put the shards back that ``tidy`` removed, to the byte.

        Args:
            shards: number and image ids of each, in order.
        """

    def read(self, out: Path) -> Iterator[ImageMasks]:
        """The images of a folder that is finished, in the order in which it holds them.

        Raises:
            ValueError: a file is not as expected; the message names it.
        """


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make one sentence of whatever a file of a stranger raises while it is read.

    Raises:
        ValueError: it is damaged, or lacks what the form needs; the message names the file.
    """
    try:
        yield
    except KeyError as error:
        raise ValueError(
            f"{path} has no {error}, which results of repvit-sam annotate have; remove or mend it"
        ) from None
    except _DAMAGES as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ValueError(
            f"{path} cannot be read as results of repvit-sam annotate ({said}); remove or mend it"
        ) from None


# SyntaxError is Pillow's word for a broken PNG
_DAMAGES = (ValueError, TypeError, AttributeError, IndexError, OverflowError, OSError, SyntaxError, PictureBomb)


def compact_name(shard: int) -> str:
    """ "00012": sorted by name is sorted by number, up to a hundred thousand shards and beyond with more digits."""
    return f"{shard:05d}" if shard < 100_000 else f"x{shard:010d}"
