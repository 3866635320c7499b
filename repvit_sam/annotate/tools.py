"""Work with finished results: keep some of the masks, join several results, or write them in another form."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath

from .forms.choice import find_form
from .image_masks import ImageMasks, MaskRecord
from .results import Results, finish_results, open_results
from .sources.source_image import unsafe_name

_SHARD = 1000  # images of a shard that is written here


@dataclass(frozen=True)
class MaskFilter:
    """Which masks are kept: those within all limits that are given. A mask without a measure passes its limit.

    Attributes:
        min_area, max_area: pixels.
        min_predicted_iou, min_stability, min_score: 0..1.
        most: masks an image, those with the best predicted IoU, in their order.
    """

    min_area: int = 0
    max_area: int | None = None
    min_predicted_iou: float = 0.0
    min_stability: float = 0.0
    min_score: float = 0.0
    most: int | None = None

    def of(self, image: ImageMasks) -> ImageMasks:
        """The image with the masks that are kept."""
        kept = [mask for mask in image.masks if self._keeps(mask)]
        if self.most is not None and len(kept) > self.most:
            order = sorted(range(len(kept)), key=lambda number: -kept[number].predicted_iou)
            kept = [kept[number] for number in sorted(order[: self.most])]
        return replace(image, masks=tuple(kept))

    def _keeps(self, mask: MaskRecord) -> bool:
        return (
            self.min_area <= mask.area
            and (self.max_area is None or mask.area <= self.max_area)
            and mask.predicted_iou >= self.min_predicted_iou
            and (mask.stability is None or mask.stability >= self.min_stability)
            and (mask.score is None or mask.score >= self.min_score)
        )


def filter_results(folder: Path, out: Path, chosen: MaskFilter) -> Results:
    """Write the masks that are kept, in the same form; an image without any stays.

    Raises:
        ValueError: the folder holds no finished results, or ``out`` is not empty.
    """
    results = open_results(folder)
    return _write(out, results.form, map(chosen.of, results.read()), results.categories, [folder])


def convert_results(folder: Path, out: Path, form: str) -> Results:
    """Write the results in another form.

    Raises:
        ValueError: as ``filter_results``, or no such form.
    """
    results = open_results(folder)
    return _write(out, form, results.read(), results.categories, [folder])


def merge_results(folders: Sequence[Path], out: Path, prefix: bool = False) -> Results:
    """Write several results as one, in the form of the first; images are numbered anew, from 1 on.

    Args:
        prefix: name images after their folder, "FOLDER/NAME"; without it two of one name are refused.

    Raises:
        ValueError: as ``filter_results``; images of one name; a category that has different names.
    """
    parts = [open_results(folder) for folder in folders]
    names = [part.folder.absolute().name for part in parts]
    if prefix and len(set(names)) < len(names):
        raise ValueError(f"--prefix needs folders of different names, got {', '.join(names)}")
    categories: dict[int, str] = {}
    for part in parts:
        for number, name in part.categories.items():
            if categories.setdefault(number, name) != name:
                raise ValueError(f"category {number} is {categories[number]} in one folder and {name} in {part.folder}")
    images = _joined(parts, names if prefix else None)
    return _write(out, parts[0].form, images, categories, folders, prefix)


def _joined(parts: Sequence[Results], prefixes: Sequence[str] | None) -> Iterator[ImageMasks]:
    names: set[str] = set()
    number = 0
    for place, part in enumerate(parts):
        for image in part.read():
            number += 1
            before = f"{prefixes[place]}/" if prefixes else ""
            named = replace(image, image_id=number, name=before + image.name, stem=before + image.stem)
            if named.name in names:
                raise ValueError(f"{image.name} is in two of the folders; --prefix names images after their folder")
            names.add(named.name)
            yield named


def _write(
    out: Path,
    form: str,
    images: Iterable[ImageMasks],
    categories: Mapping[int, str],
    made_from: Sequence[Path],
    prefixed: bool = False,
) -> Results:
    writes = find_form(form)
    with _new_folder(out) as folder:
        upcoming, shards, count, masks = _with_files_of_their_own(images), 0, 0, 0
        while some := list(islice(upcoming, _SHARD)):
            writer = writes.writer(folder, shards)
            for image in some:
                writer.add(image)
                count, masks = count + 1, masks + len(image.masks)
            writer.close()
            shards += 1
        sources = tuple(str(path.absolute()) for path in made_from)
        finish_results(Results(folder, form, count, masks, categories, sources, prefixed), shards)
    return open_results(out)


def _with_files_of_their_own(images: Iterable[ImageMasks]) -> Iterator[ImageMasks]:
    """The images, whose stems come from files of strangers; some file systems do not know case."""
    stems: set[str] = set()
    for image in images:
        if unsafe := unsafe_name(image.stem):
            raise ValueError(f"{image.name} cannot be written with the stem {image.stem!r}: {unsafe}")
        stem = str(PurePosixPath(image.stem)).casefold()
        if stem in stems:
            raise ValueError(
                f"{image.name} and another image would have the same output file ({image.stem}); "
                "rename one of them, or merge with --prefix, which names images after their folder"
            )
        stems.add(stem)
        yield image


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder beside ``out``, which takes its place if the block ends without an error."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty; give a new folder")
    beside = out.absolute().with_name(f".{out.absolute().name}.unfinished")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        yield beside
        if out.exists():
            out.rmdir()
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
