"""A folder of results: what its files are called, what is written when a run ends, and how it is opened again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import atomic_write
from .forms.choice import find_form
from .image_masks import ImageMasks

MANIFEST = "manifest"  # the plan, the settings and the records of a run
FAILED = "failed.jsonl"
_DATASET, _SUMMARY = "dataset.json", "summary.json"


@dataclass(frozen=True)
class Results:
    """A finished folder.

    Attributes:
        form: its form's name.
        images, masks: how many.
        categories: names by id.
        made_from: for what ``annotations`` wrote, the folders that it was made from.
        prefixed: whether its images are named "FOLDER/NAME" after the folders of ``made_from``.
    """

    folder: Path
    form: str
    images: int
    masks: int
    categories: Mapping[int, str]
    made_from: tuple[str, ...] = ()
    prefixed: bool = False

    def read(self) -> Iterator[ImageMasks]:
        """The images with their masks, one after another."""
        return find_form(self.form).read(self.folder)


def finish_results(results: Results, shards: int) -> None:
    """Put the shards together and write ``dataset.json``, which says that the folder is whole."""
    form = find_form(results.form)
    form.finish(results.folder, shards, results.categories)
    one_file = results.folder / form.look_at
    content: dict[str, Any] = {
        "format": results.form,
        "images": results.images,
        "masks": results.masks,
        "categories": [{"id": number, "name": name} for number, name in sorted(results.categories.items())],
    }
    if one_file.is_file():
        content |= {"file": form.look_at, "bytes": one_file.stat().st_size}
    if results.made_from:
        content["made_from"] = list(results.made_from)
    if results.prefixed:
        content["prefixed"] = True
    _write_json(results.folder / _DATASET, content)
    form.tidy(results.folder, shards)


def is_finished(folder: Path) -> bool:
    """Whether a run here has ended."""
    return (folder / _DATASET).is_file()


def is_whole(folder: Path) -> bool:
    """Whether a run here has ended, and the one file of its results, where they have one, is as it was written."""
    try:
        open_results(folder)
    except ValueError:
        return False
    return True


def mark_unfinished(folder: Path) -> None:
    """Say that the folder is not whole any more, before something of it is made again."""
    (folder / _DATASET).unlink(missing_ok=True)


def open_results(folder: Path) -> Results:
    """The results of a folder.

    Raises:
        ValueError: it holds no finished results, or their one file has another size than it was written with.
    """
    path = folder / _DATASET
    try:
        content = json.loads(path.read_bytes())
        if "file" in content:
            _check_size(folder / content["file"], content["bytes"])
        categories = {int(row["id"]): str(row["name"]) for row in content["categories"]}
        made_from = tuple(content.get("made_from", ()))
        counts = content["images"], content["masks"]
        return Results(folder, content["format"], *counts, categories, made_from, content.get("prefixed") is True)
    except FileNotFoundError:
        begun = (folder / MANIFEST).is_dir()
        what = "a run that has not ended; let it end first" if begun else "no results of repvit-sam annotate"
        raise ValueError(f"{folder} holds {what}") from None
    except _OtherFileError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}: {error})") from None


def write_failures(folder: Path, lines: list[dict[str, Any]]) -> None:
    """Write ``failed.jsonl``, or remove it where nothing failed."""
    if not lines:
        (folder / FAILED).unlink(missing_ok=True)
        return
    with atomic_write(folder / FAILED) as beside:
        beside.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="ascii")


def write_summary(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``summary.json``: times and memory, which differ from run to run."""
    _write_json(folder / MANIFEST / _SUMMARY, content)


def _check_size(path: Path, size: int) -> None:
    found = path.stat().st_size if path.is_file() else None
    if found != size:
        what = "is missing" if found is None else f"has {found:,} bytes and was written with {size:,}"
        raise _OtherFileError(f"{path} {what}; make the results again, by the command that made them")


class _OtherFileError(ValueError):
    """The message is whole."""


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_write(path, on_disk=True) as beside:
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
