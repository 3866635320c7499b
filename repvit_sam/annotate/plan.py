"""The plan of a run: its images in shards of a fixed size, on disk, decided by the source alone.

``plan.jsonl`` has a line for each shard, ``plan.index`` where each line begins, so that any shard is read in one step
and no list of a million images is held in memory. ``plan.json`` is written last and says what the two are called: after
a retry they are a new pair, ``plan-<number>``.
"""

from __future__ import annotations

import json
import os
import posixpath
import secrets
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files import atomic_write, sha256_of
from .sources.source_image import SourceImage

_FACTS = "plan.json"
_OWN_ENDINGS = (".json", ".png")  # of files that an image has for itself, in any form (``Form.own_files``)


@dataclass(frozen=True)
class Plan:
    """A plan on disk.

    Attributes:
        folder: where it lies.
        images, shards: how many.
        categories: of the prompts, by id.
        name: of its two large files, without their endings.
    """

    folder: Path
    images: int
    shards: int
    categories: dict[int, str]
    name: str = "plan"

    @property
    def lines(self) -> Path:
        """The file with a line for each shard."""
        return self.folder / f"{self.name}.jsonl"

    @property
    def index(self) -> Path:
        """The file that says where each line begins, 8 bytes each."""
        return self.folder / f"{self.name}.index"

    def shard(self, number: int) -> list[SourceImage]:
        """The images of a shard, in order."""
        starts = _starts(self.index)
        with self.lines.open("rb") as stream:
            stream.seek(int(starts[number]))
            return [SourceImage.from_json(image) for image in json.loads(stream.readline())]

    def all_images(self) -> Iterator[SourceImage]:
        """The images of all shards, in order."""
        with self.lines.open("rb") as stream:
            for line in stream:
                for image in json.loads(line):
                    yield SourceImage.from_json(image)


def write_plan(folder: Path, images: Iterable[SourceImage], shard_size: int, categories: dict[int, str]) -> Plan:
    """Cut the images into shards and write the plan; the last file written says that it is whole.

    Images without an id get their place in the plan, from 1 on, and each gets a name for its own output files: its path
    without the ending, or with it where an earlier image has that name, or has a folder where the output would be a
    file. Where the folder comes later, ``a.json/b.jpg`` after ``a.jpg``, it is ``a.json_`` in the results.

    Raises:
        ValueError: two images have the same name, or the source numbers some of its images only.
    """
    plan = Plan(folder, 0, 0, categories)
    starts: list[int] = []
    count = 0
    named = _named(images)
    with atomic_write(plan.lines, on_disk=True) as beside, beside.open("wb") as stream:
        while shard := list(islice(named, shard_size)):
            starts.append(stream.tell())
            line = json.dumps([image.to_json() for image in shard], separators=(",", ":"))
            stream.write(line.encode("ascii") + b"\n")
            count += len(shard)
    with atomic_write(plan.index, on_disk=True) as beside:
        np.array(starts, dtype="<i8").tofile(beside)
    plan = replace(plan, images=count, shards=len(starts))
    _write_facts(plan)
    return plan


def replace_plan(old: Plan, new: Plan) -> Plan:
    """Put a plan from another folder in the place of an old one, whose files stay; after a kill one of them counts."""
    placed = replace(new, folder=old.folder, name=f"plan-{secrets.token_hex(4)}")
    os.replace(new.lines, placed.lines)
    os.replace(new.index, placed.index)
    _write_facts(placed)
    return placed


def remove_other_plans(plan: Plan) -> None:
    """Remove what ``replace_plan`` leaves in the plan's folder, also where it was killed."""
    for path in (*plan.folder.glob("plan*.jsonl"), *plan.folder.glob("plan*.index")):
        if path not in (plan.lines, plan.index):
            path.unlink()


def has_plan(folder: Path) -> bool:
    """Whether a whole plan is there."""
    return (folder / _FACTS).is_file()


def read_plan(folder: Path) -> Plan:
    """The plan of a folder.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    try:
        facts = json.loads((folder / _FACTS).read_bytes())
        categories = {int(number): str(name) for number, name in facts["categories"]}
        plan = Plan(folder, facts["images"], facts["shards"], categories, facts.get("files", "plan"))
    except FileNotFoundError:
        raise ValueError(f"{folder.parent} holds no run of repvit-sam annotate") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{folder / _FACTS} is damaged; give another --out, or delete the folder") from None
    if len(_starts(plan.index)) != plan.shards:
        raise ValueError(f"{plan.index} is damaged; give another --out, or delete the folder")
    return plan


def first_difference(old: Plan, new: Plan, leaving_out: Collection[int] = ()) -> str | None:
    """What of the source is not as it was, in a few words; None where both plans are the same.

    Args:
        leaving_out: places in the plan, from 0 on, of images that may have been written again.
    """
    if sha256_of(old.lines) == sha256_of(new.lines):
        return _category_difference(old.categories, new.categories)
    known = old.all_images()
    for number, image in enumerate(new.all_images(), 1):
        before = next(known, None)
        if before is None:
            return f"{image.name} was added"
        if before == image or (before.name == image.name and number - 1 in leaving_out):
            continue
        if before.name == image.name:
            return f"{image.name} was changed"
        return f"image {number} was {before.name} and is {image.name}"
    gone = next(known, None)
    return f"{gone.name} is gone" if gone else _category_difference(old.categories, new.categories)


def _category_difference(old: dict[int, str], new: dict[int, str]) -> str | None:
    for number in sorted(old | new):
        before, now = old.get(number), new.get(number)
        if before is None:
            return f"category {number} ({now}) was added"
        if now is None:
            return f"category {number} ({before}) is gone"
        if before != now:
            return f"category {number} was {before} and is {now}"
    return None


def _named(images: Iterable[SourceImage]) -> Iterator[SourceImage]:
    """Each image with its id and its stem.

    Names are known by hashes of 8 bytes, which a million of clash once in 10^7 runs. Stems are told apart without
    regard to case, as some file systems do.
    """
    names: set[bytes] = set()
    stems = _Stems()
    own_ids: bool | None = None
    for number, image in enumerate(images, 1):
        own_ids = image.image_id is not None if own_ids is None else own_ids
        if own_ids != (image.image_id is not None):
            raise ValueError(f"the source numbers some of its images, but not {image.name}; number all or none")
        if not _added(names, image.name):
            raise ValueError(f"two images are called {image.name}; each must be listed once")
        stem = "" if image.refused else stems.new_one(image.name)
        if stem is None:
            raise ValueError(f"{image.name} and another image would have the same output file; rename one of them")
        yield replace(image, image_id=image.image_id if own_ids else number, stem=stem)


class _Stems:
    """Names of output files, told apart from each other, and from folders that the files would be."""

    def __init__(self) -> None:
        self._taken: set[bytes] = set()
        self._folders: set[bytes] = set()  # those that end as output files do, without the ending

    def new_one(self, name: str) -> str | None:
        """A name for the output files of an image; None where all that are possible are taken."""
        parents, slash, own = name.rpartition("/")
        marked = "/".join(f"{part}_" if part.lower().endswith(_OWN_ENDINGS) else part for part in parents.split("/"))
        for stem in (posixpath.splitext(name)[0], name, f"{marked}{slash}{own}"):
            plain = stem.casefold()
            folders = {_digest(folder) for folder in _folders_like_files(plain)}
            if _digest(plain) in self._folders or folders & self._taken or not _added(self._taken, plain):
                continue
            self._folders |= folders
            return stem
        return None


def _folders_like_files(stem: str) -> Iterator[str]:
    """The folders of a path that are called like an image's output file, without that ending."""
    parts = stem.split("/")
    for depth, part in enumerate(parts[:-1], 1):
        if part.endswith(_OWN_ENDINGS):
            yield posixpath.splitext("/".join(parts[:depth]))[0]


def _added(known: set[bytes], name: str) -> bool:
    """Add a name; False if it is there."""
    digest = _digest(name)
    if digest in known:
        return False
    known.add(digest)
    return True


def _digest(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _write_facts(plan: Plan) -> None:
    categories = [[number, name] for number, name in sorted(plan.categories.items())]
    facts = {"images": plan.images, "shards": plan.shards, "categories": categories, "files": plan.name}
    with atomic_write(plan.folder / _FACTS, on_disk=True) as beside:
        beside.write_text(json.dumps(facts, indent=1), encoding="ascii")


def _starts(index: Path) -> NDArray[np.int64]:
    return np.memmap(index, dtype="<i8", mode="r") if index.stat().st_size else np.zeros(0, "<i8")
