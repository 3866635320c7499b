"""Words -> photos and their masks, where they lie: folders, tars, COCO-format folders, SA-1B tars, lists of them.

Nothing is unpacked: a tar is scanned once for its members' places, then read at random. (webdataset, the library made
for such tars, only streams them; a run that continues at exactly the sample it stopped at needs random access, which
the standard library's ``tarfile`` gives.) Masks are COCO's, read by pycocotools.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from repvit_sam.masks import Mask
from repvit_sam.photo import SUFFIXES
from repvit_sam.rle import decode_rle

Annotation = Mapping[str, Any]  # of COCO or SA-1B: has "segmentation" (polygons or RLE)
SourceWord = str | Mapping[str, str]  # a path, or {"images": folder, "annotations": file}


@dataclass(frozen=True)
class Place:
    """Bytes on disk: a whole file, or a part of one."""

    path: Path
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """The bytes.

        Raises:
            OSError: gone, unreadable, or shorter than it was.
        """
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            data = stream.read() if self.size is None else stream.read(self.size)
        if self.size is not None and len(data) != self.size:
            raise OSError(f"{self.path} is cut off at byte {self.offset + len(data)}")
        return data


@dataclass(frozen=True)
class PhotoItem:
    """One photo of a data set.

    Attributes:
        name: unique within the data: the source's own name, then the path inside it.
        annotations: COCO's of this photo, or the place of SA-1B's json; None where the source has no masks.
    """

    name: str
    place: Place
    annotations: tuple[Annotation, ...] | Place | None = None


@dataclass(frozen=True)
class Photos:
    """What a list of sources holds.

    Attributes:
        torn: what was left out, by name: members of cut-off or damaged tars, photos that are annotated but not there.
    """

    items: tuple[PhotoItem, ...]
    torn: tuple[str, ...] = ()

    def limited(self, limit: int | None) -> Photos:
        return replace(self, items=self.items[:limit])

    def manifest(self) -> dict[str, Any]:
        """What identifies the data, for the checkpoint: how many photos, and a hash over names and sizes."""
        lines = [f"{item.name}\t{item.place.size or item.place.path.stat().st_size}\n" for item in self.items]
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        sources = sorted({item.name.split("/")[0] for item in self.items})
        return {"photos": len(self.items), "torn": len(self.torn), "sources": sources, "sha256": digest}


def find_photos(sources: Sequence[SourceWord]) -> Photos:
    """All photos of all sources, in the order given, sorted by name within a folder.

    Args:
        sources: each a folder of photos, a folder of tars, a COCO-format folder (``images/`` and
            ``annotations.json``), a mapping of ``images`` and ``annotations`` for COCO's own layout, a tar of photos,
            a tar of SA-1B (``.jpg`` with ``.json``), or a ``.txt`` list of such paths, relative to the list.

    Raises:
        ValueError: a source is not there, is none of these, or holds no photo; or two photos have the same name.
    """
    items: list[PhotoItem] = []
    torn: list[str] = []
    for source in sources:
        found = _read_source(source)
        if not found.items:
            why = f"; the first that cannot be read: {found.torn[0]}" if found.torn else ""
            raise ValueError(f"{source} holds no photo (looked for {', '.join(SUFFIXES)}, and for tars of them){why}")
        items += found.items
        torn += found.torn
    seen: set[str] = set()
    for item in items:
        if item.name in seen:
            raise ValueError(f"two photos are called {item.name}; give their folders or tars different names")
        seen.add(item.name)
    return Photos(tuple(items), tuple(torn))


def read_masks(item: PhotoItem, photo_hw: tuple[int, int], most: int | None = None) -> list[Mask]:
    """The (H, W) masks annotated in a photo; of more than ``most``, every n-th.

    Crowds are left out, and what holds no mask: an empty one, a box without a polygon, one of another size.

    Raises:
        ValueError: the photo's annotations as a whole cannot be read.
    """
    annotations = item.annotations
    if annotations is None:
        return []
    try:
        if isinstance(annotations, Place):
            annotations = tuple(json.loads(annotations.read())["annotations"])
        objects = [a for a in annotations if not a.get("iscrowd")]
        step = 1 if most is None else max(1, -(-len(objects) // most))
    except (AttributeError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the masks of {item.name} cannot be read ({type(error).__name__}: {error})") from None
    masks = [_decode(annotation.get("segmentation"), photo_hw) for annotation in objects[::step]]
    return [mask for mask in masks if mask is not None and mask.shape == photo_hw and mask.any()]


def _decode(segmentation: Any, photo_hw: tuple[int, int]) -> Mask | None:
    """None for what is no mask: exports of detection data have empty lists, null, or polygons of two points."""
    try:
        return _decode_whole(segmentation, photo_hw)
    except Exception:  # pycocotools raises IndexError, TypeError, KeyError and bare Exception
        return None


def _decode_whole(segmentation: Any, photo_hw: tuple[int, int]) -> Mask:
    if isinstance(segmentation, dict) and not isinstance(segmentation["counts"], list):
        rle = segmentation
    else:
        rle = coco_mask.frPyObjects(segmentation, *photo_hw)  # polygons, or RLE as a list of run lengths
        rle = coco_mask.merge(rle) if isinstance(rle, list) else rle
    return decode_rle(rle)


def _read_source(source: SourceWord) -> Photos:
    if not isinstance(source, str):
        if set(source) != {"images", "annotations"}:
            raise ValueError(f"a source is a path, or has the two keys images and annotations, got {dict(source)}")
        return _read_coco(Path(source["images"]), Path(source["annotations"]))
    path = Path(source)
    if path.suffix == ".txt" and path.is_file():
        return _read_list(path)
    if path.suffix == ".tar" and path.is_file():
        return _read_tar(path)
    if not path.is_dir():
        raise ValueError(f"{path} does not exist, or is none of: a folder, a .tar, a .txt list")
    if (path / "annotations.json").is_file() and (path / "images").is_dir():
        return _read_coco(path / "images", path / "annotations.json", path.name)
    tars = sorted(path.glob("*.tar"))
    if tars:
        return _joined(_read_tar(tar) for tar in tars)
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    return Photos(tuple(PhotoItem(f"{path.name}/{file.relative_to(path).as_posix()}", Place(file)) for file in files))


def _read_list(path: Path) -> Photos:
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    words = [path.parent / line for line in lines if line]
    photos = [PhotoItem(f"{word.parent.name}/{word.name}", Place(word)) for word in words if _is_photo(word)]
    return _joined([Photos(tuple(photos)), *(_read_source(str(word)) for word in words if not _is_photo(word))])


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _joined(several: Iterable[Photos]) -> Photos:
    parts = list(several)
    return Photos(tuple(i for part in parts for i in part.items), tuple(t for part in parts for t in part.torn))


def _read_coco(images: Path, annotations: Path, name: str | None = None) -> Photos:
    items: list[PhotoItem] = []
    missing: list[str] = []
    if not images.is_dir() or not annotations.is_file():
        raise ValueError(f"expected photos in {images}/ and COCO annotations in {annotations}")
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it reads
            coco = COCO(str(annotations))
        for image_id, image in sorted(coco.imgs.items()):
            found = tuple(coco.imgToAnns.get(image_id, ()))
            file = images / image["file_name"]
            label = f"{name or images.name}/{image['file_name']}"
            if file.is_file():
                items.append(PhotoItem(label, Place(file), found))
            else:
                missing.append(f"{label} (annotated, but not in {images})")
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise ValueError(f"{annotations} is not in COCO instances format ({error})") from None
    return Photos(tuple(items), tuple(missing))


def _read_tar(path: Path) -> Photos:
    places, torn = _tar_members(path)
    items = []
    for name, place in places.items():
        if Path(name).suffix.lower() in SUFFIXES:
            beside = places.get(str(Path(name).with_suffix(".json")))  # SA-1B: sa_1.jpg, sa_1.json
            items.append(PhotoItem(f"{path.name}/{name}", place, beside))
    return Photos(tuple(items), tuple(torn))


def _tar_members(path: Path) -> tuple[dict[str, Place], list[str]]:
    """Name -> place of every whole member; names of what is torn."""
    places: dict[str, Place] = {}
    torn: list[str] = []
    length = path.stat().st_size
    expected = 0  # where the next header should stand
    try:
        # ignore_zeros: after a damaged header go on at the next one that is whole, instead of ending in silence
        with tarfile.open(path, "r:", ignore_zeros=True) as tar:
            for member in tar:
                if member.offset > expected:
                    torn.append(f"{path.name} between bytes {expected} and {member.offset}")
                expected = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                if not member.isfile():
                    continue
                if member.offset_data + member.size > length:
                    torn.append(f"{path.name}/{member.name}")
                else:
                    places[member.name.removeprefix("./")] = Place(path, member.offset_data, member.size)
    except tarfile.ReadError:
        if not places:
            torn.append(f"{path.name} (no tar archive, or cut off in its first member)")
            return places, torn
    with path.open("rb") as stream:
        stream.seek(expected)
        ends = stream.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)  # an archive closes with blocks of zeros
    if not ends and expected <= length:  # else the member that is cut off is named already
        torn.append(f"{path.name} after byte {expected}")
    return places, torn
