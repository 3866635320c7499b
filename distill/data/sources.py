"""The sources that a recipe names -> photos: folders, tars, COCO-format folders, SA-1B tars, lists of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repvit_sam.foreign_json import read_foreign_json
from repvit_sam.photo import SUFFIXES

from .photo_set import FileSlice, PhotoItem, PhotoSet
from .tars import read_tar

Source = str | Mapping[str, str]  # a path, or {"images": folder, "annotations": file}


def read_sources(sources: Sequence[Source]) -> PhotoSet:
    """All photos of all sources, in the order given, sorted by name within a folder.

    Args:
        sources: each a folder of photos, a folder of tars, a COCO-format folder (``annotations.json``, and the
            photos in ``images/`` or beside it), a mapping of ``images`` and ``annotations`` for COCO's own layout, a
            tar of photos, a tar of SA-1B (``.jpg`` with ``.json``), or a ``.txt`` list of such paths, relative to the
            list.

    Raises:
        ValueError: a source does not exist, is none of these, or holds no photo; or two photos have the same name.
    """
    items: list[PhotoItem] = []
    incomplete: list[str] = []
    for source in sources:
        found = _read_source(source)
        if not found.items:
            why = f"; the first that cannot be read: {found.incomplete[0]}" if found.incomplete else ""
            raise ValueError(f"{source} holds no photo (looked for {', '.join(SUFFIXES)}, and for tars of them){why}")
        items += found.items
        incomplete += found.incomplete
    seen: set[str] = set()
    for item in items:
        if item.name in seen:
            raise ValueError(f"two photos are called {item.name}; give their folders or tars different names")
        seen.add(item.name)
    return PhotoSet(tuple(items), tuple(incomplete))


def _read_source(source: Source) -> PhotoSet:
    if not isinstance(source, str):
        if set(source) != {"images", "annotations"}:
            raise ValueError(f"a source is a path, or has the two keys images and annotations, got {dict(source)}")
        return _read_coco(Path(source["images"]), Path(source["annotations"]))
    path = Path(source)
    if path.suffix == ".txt" and path.is_file():
        return _read_list(path)
    if path.suffix == ".tar" and path.is_file():
        return read_tar(path)
    if not path.is_dir():
        raise ValueError(f"{path} does not exist, or is none of: a folder, a .tar, a .txt list")
    annotations, images = path / "annotations.json", path / "images"
    if annotations.is_file():  # without images/, the photos lie beside it, as `repvit-sam label` leaves them
        return _read_coco(images if images.is_dir() else path, annotations, path.name)
    tars = sorted(path.glob("*.tar"))
    if tars:
        return PhotoSet.joined(read_tar(tar) for tar in tars)
    files = sorted(file for file in path.rglob("*") if _is_photo(file))
    named = ((f"{path.name}/{file.relative_to(path).as_posix()}", file) for file in files)
    return PhotoSet(tuple(PhotoItem(name, FileSlice(file)) for name, file in named))


def _read_list(path: Path) -> PhotoSet:
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    listed = [path.parent / line for line in lines if line]
    photos = tuple(PhotoItem(f"{file.parent.name}/{file.name}", FileSlice(file)) for file in listed if _is_photo(file))
    return PhotoSet.joined([PhotoSet(photos), *(_read_source(str(file)) for file in listed if not _is_photo(file))])


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _read_coco(images: Path, annotations: Path, name: str | None = None) -> PhotoSet:
    items: list[PhotoItem] = []
    missing: list[str] = []
    if not images.is_dir() or not annotations.is_file():
        raise ValueError(f"expected photos in {images}/ and COCO annotations in {annotations}")
    try:
        content = read_foreign_json(annotations)
        of_image: dict[int | str, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content.get("annotations", []):
            of_image[annotation["image_id"]].append(annotation)
        for image_id, image in sorted({image["id"]: image for image in content["images"]}.items()):
            found = tuple(of_image[image_id])
            file = images / image["file_name"]
            label = f"{name or images.name}/{image['file_name']}"
            if file.is_file():
                items.append(PhotoItem(label, FileSlice(file), found))
            else:
                missing.append(f"{label} (annotated, but not in {images})")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{annotations} is not in COCO instances format ({error})") from None
    return PhotoSet(tuple(items), tuple(missing))
