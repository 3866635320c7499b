"""One shard: its images in, its files out, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import PhotoError, PromptError
from ..files import sha256_of, sync_file, sync_folder
from ..jobs.overlap import OverlapThreads, overlapped
from ..jobs.records import Record
from ..photo import Photo, read_photo
from .forms.form import Form
from .image_masks import ImageMasks, MaskRecord
from .memory import peak_mib
from .sources.files import ImageReader
from .sources.source_image import SourceImage

MasksOf = Callable[[SourceImage, Photo], tuple[MaskRecord, ...]]


@dataclass(frozen=True)
class ShardFolders:
    """Where a run writes.

    Attributes:
        out: the results.
        staging: what is not finished, on the same disk; each run has one of its own, and removes those before it.
    """

    out: Path
    staging: Path

    def progress_file(self, shard: int) -> Path:
        """One byte for each image that is done: "." made, "x" failed. Whoever started the run looks at its size."""
        return self.staging / f"{shard}.progress"


def make_shard(
    shard: int,
    images: list[SourceImage],
    form: Form,
    masks_of: MasksOf,
    folders: ShardFolders,
    max_pixels: int,
    reader: ImageReader,
    threads: OverlapThreads,
) -> Record:
    """Make the masks of a shard's images, reading, computing and writing at once, and put its files in place.

    An image that cannot be read or does not fit its prompts is one of the record's ``failed``; the others go on.

    Args:
        reader, threads: the worker's; what the reader holds of a table serves the next shard as well.

    Returns:
        images: how many were made. masks: of all of them. failed: [[place in the shard, image id, name, reason], ...].
        bytes and sha256: of the shard's ``file``; of several ``files`` that of the lines "sha256  path", by path.
        peak_mib: the largest memory of this process so far.

    Raises:
        OSError: a file cannot be written.
    """
    staged = folders.staging / str(shard)
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    writer = form.writer(staged, shard)
    failed: list[list[object]] = []
    made = masks = 0

    def read(place: int) -> Photo:
        return _read(reader, images[place], max_pixels)

    def compute(place: int, photo: Photo) -> ImageMasks:
        image = images[place]
        assert image.image_id is not None  # the plan numbers them
        found = masks_of(image, photo)
        return ImageMasks(image.image_id, image.name, image.stem, (photo.shape[0], photo.shape[1]), found)

    def write(place: int, image: ImageMasks) -> int:
        writer.add(image)
        return len(image.masks)

    with folders.progress_file(shard).open("wb", buffering=0) as progress:
        expected = (PhotoError, PromptError)
        for place, done in overlapped(range(len(images)), read, compute, write, expected, threads):
            if isinstance(done, Exception):
                failed.append([place, images[place].image_id, images[place].name, _sentence(done)])
                for name in form.own_files(images[place].stem) if images[place].stem else ():
                    (folders.out / name).unlink(missing_ok=True)  # of an earlier try that was killed
            else:
                made, masks = made + 1, masks + done
            progress.write(b"x" if isinstance(done, Exception) else b".")
        writer.close()
        for name in () if made else form.shard_files(shard):
            (folders.out / name).unlink(missing_ok=True)  # as above, but nothing takes its place
        files = _publish(staged, folders.out)
    return {"images": made, "masks": masks, "failed": failed, **files, "peak_mib": peak_mib()}


def is_in_place(record: Record, out: Path) -> bool:
    """Whether the file of a shard is there as it was written, by its size; True for shards of many files or none."""
    try:
        return "file" not in record or (out / record["file"]).stat().st_size == record["bytes"]
    except OSError:
        return False


def _read(reader: ImageReader, image: SourceImage, max_pixels: int) -> Photo:
    try:
        return read_photo(reader.read(image), max_pixels)
    except MemoryError:
        raise PhotoError("not enough memory to read it") from None


def _sentence(error: Exception) -> str:
    return " ".join(str(error).replace("the given bytes", "the file", 1).split())


def _publish(staged: Path, out: Path) -> dict[str, object]:
    """Move the files to where they belong; returns the record's part about them."""
    names = sorted(path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file())
    sizes = sum((staged / name).stat().st_size for name in names)
    hashes = [sha256_of(staged / name) for name in names]
    for name in names:
        sync_file(staged / name)
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged / name, out / name)
    for folder in {above for name in names for above in Path(name).parents}:  # new folders too
        sync_folder(out / folder)
    shutil.rmtree(staged)
    if len(names) == 1:
        return {"file": names[0], "bytes": sizes, "sha256": hashes[0]}
    lines = (f"{digest}  {name}\n" for digest, name in zip(hashes, names, strict=True))
    digest = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    return {"files": len(names), "bytes": sizes, "sha256": digest}
