"""A source -> its images, in an order that the source alone decides."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...photo import SUFFIXES
from .files import PATTERN_SIGNS, listing_errors, open_source, pattern_folder, real_path, version_of, why_refused
from .local_files import local_files
from .parquet import images_of_parquet
from .prompt_files import PROMPT_KINDS, images_of_prompt_file, read_prompt_file
from .source_image import SourceImage, unsafe_name
from .store import Store
from .tars import images_of_tar

KINDS = "a folder, a 'pattern*', a .txt list, an image, a .tar, a .parquet file or a COCO .json"


@dataclass(frozen=True)
class Source:
    """What is annotated.

    Attributes:
        address: a path, a pattern, or an address for fsspec.
        images: folder of the images that a JSON file names; None looks beside it.
        annotations: the COCO file with the list of images and categories, for a detector's results.
        use: which prompts of a JSON file are taken: "boxes", "points", "keypoints" or "none".
        leave_out: a folder that is not listed: that of the results, where it lies in the source.

    Raises:
        ValueError: options that do not fit the source.
    """

    address: str
    images: str | None = None
    annotations: Path | None = None
    use: str = "boxes"
    leave_out: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.use not in PROMPT_KINDS:
            raise ValueError(f"--use must be one of {', '.join(PROMPT_KINDS)}, got {self.use!r}")
        if not self.has_prompts and (self.images or self.annotations):
            raise ValueError(f"--images and --annotations go with a .json of prompts, got {self.address}")

    @property
    def has_prompts(self) -> bool:
        """Whether it is a JSON file, which may have prompts."""
        return self.address.lower().endswith(".json")

    @property
    def full_address(self) -> str:
        """The same wherever the command is given."""
        with listing_errors(self.address):
            store, path = open_source(self.address)
            return store.full_path(path)


@dataclass(frozen=True)
class Listing:
    """The images of a source, still to be read from its list, and the names of its categories."""

    images: Iterator[SourceImage]
    categories: dict[int, str] = field(default_factory=dict)


def list_source(source: Source) -> Listing:
    """The images: those of a folder and of a pattern sorted by path, others as the source has them.

    Tars and Parquet files in a folder or a list are looked into. Files that are no images by their names are left out.

    Raises:
        ValueError: the source does not exist, is of no known kind, or holds no image (on reading).
        PromptError: a JSON file in another format.
    """
    if source.has_prompts:
        path = Path(source.address)
        found, images = read_prompt_file(path, source.annotations, source.use)
        folder = source.images or str(path.absolute().parent)
        return Listing(_not_empty(images_of_prompt_file(images, folder), source), dict(found.categories))
    return Listing(_not_empty(_images_of(source), source))


def _not_empty(images: Iterator[SourceImage], source: Source) -> Iterator[SourceImage]:
    empty = True
    for image in images:
        empty = False
        yield image
    if empty:
        raise ValueError(f"{source.address} holds no image (looked for {', '.join(SUFFIXES)}, .tar and .parquet)")


def _images_of(source: Source) -> Iterator[SourceImage]:
    store, path = open_source(source.address)
    if any(sign in path for sign in PATTERN_SIGNS) and not store.exists(path):
        found = sorted(store.glob(path).items())
        yield from _images_of_files(store, pattern_folder(path), found, source)
    elif store.isdir(path):
        if store.is_local:
            yield from _images_of_folder(store, path, source)
        else:
            yield from _images_of_files(store, path, sorted(store.find(path).items()), source)
    elif not store.exists(path):
        raise ValueError(f"{source.address} does not exist; expected {KINDS}")
    elif path.lower().endswith(".txt"):
        yield from _images_of_list(store, path)
    elif _is_taken(path):
        yield from _images_of_files(store, posixpath.dirname(path), [(path, store.info(path))], source)
    else:
        raise ValueError(f"{source.address} is of no known kind; expected {KINDS}")


def _images_of_folder(store: Store, root: str, source: Source) -> Iterator[SourceImage]:
    for path, problem in local_files(root, real_path(source.leave_out) if source.leave_out else None):
        name = _name(path, root)
        if problem:
            yield SourceImage(name, path, refused=problem)
        elif _is_taken(path):
            yield from _images_of_file(store, path, None, name)


def _images_of_files(
    store: Store, root: str, files: list[tuple[str, dict[str, Any]]], source: Source
) -> Iterator[SourceImage]:
    left_out = f"{real_path(source.leave_out)}/" if source.leave_out else None
    for path, info in files:
        if _is_taken(path) and not (left_out and path.startswith(left_out)):
            yield from _images_of_file(store, path, info, _name(path, root))


def _images_of_file(store: Store, path: str, info: dict[str, Any] | None, name: str) -> Iterator[SourceImage]:
    """The image, or those in it; none in a folder that is called like an image.

    Args:
        info: what the file system says of the file; None asks it.
    """
    if info is None or info.get("islink"):  # of a link, lists describe itself, and ``store.info`` what it leads to
        try:
            info = store.info(path)
        except OSError as error:
            yield SourceImage(name, store.full_path(path), refused=why_refused(error))
            return
    if info["type"] == "directory":
        return
    if info["type"] != "file":
        yield SourceImage(name, store.full_path(path), refused="it is no file")
    elif name.lower().endswith(".tar"):
        yield from images_of_tar(store, path, name)
    elif name.lower().endswith(".parquet"):
        yield from images_of_parquet(store, path, name)
    else:
        yield SourceImage(name, store.full_path(path), info["size"], version_of(info), refused=unsafe_name(name))


def _images_of_list(store: Store, path: str) -> Iterator[SourceImage]:
    """The lines of a list, relative to it; named by their path under the folder that all of them share."""
    try:
        lines = store.cat_file(path).decode("utf-8-sig").splitlines()
    except ValueError:
        raise ValueError(f"{path} is no list: expected one path a line in UTF-8") from None
    listed = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    beside = posixpath.dirname(store.full_path(path))
    places = [open_source(line if "://" in line or posixpath.isabs(line) else f"{beside}/{line}") for line in listed]
    root = posixpath.commonpath([posixpath.dirname(place) for _, place in places]) if places else ""
    for at, place in places:
        name = _name(place, root)
        try:
            info = at.info(place)
        except OSError as error:
            yield SourceImage(name, at.full_path(place), refused=why_refused(error, f"{place} does not exist"))
            continue
        if info["type"] == "directory":
            raise ValueError(f"{path} lists the folder {place}; expected images, .tar and .parquet files")
        if _is_taken(place):
            yield from _images_of_file(at, place, info, name)
        else:
            yield SourceImage(name, at.full_path(place), refused="it is no image by its name")


def _name(path: str, root: str) -> str:
    """The path below the root; the path itself where its file system has no root, as of buckets."""
    return posixpath.relpath(path, root) if root else path


def _is_taken(path: str) -> bool:
    return path.lower().endswith((*SUFFIXES, ".tar", ".parquet"))
