"""Photos on disk -> masks on disk: the work of ``repvit-sam segment`` and ``everything``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from ..canvas import CanvasFit, fit_photo, photo_to_canvas
from ..console import progress_bar, say
from ..detections import Detections
from ..embedding import EncodedPhoto
from ..errors import PhotoError, PromptError
from ..jobs.overlap import overlapped
from ..masks import best_mask
from ..photo import Photo, find_photos, read_photo
from ..predictor import SamPredictor
from ..prompts import check_prompts
from .box_sources import BoxSource
from .options import ModelOptions
from .result_files import DetectedObject, FoundMask, ObjectPrompt, ResultFiles


@dataclass(frozen=True)
class OpenedPhoto:
    """A photo that was read, and its canvas, for work that makes none of its own."""

    photo: Photo
    on_canvas: tuple[NDArray[np.float32], CanvasFit] | None = None


@dataclass(frozen=True)
class Steps:
    """What is done for each photo: ``read`` and ``write`` in threads, ``compute`` between them."""

    read: Callable[[Path], OpenedPhoto]
    compute: Callable[[Path, OpenedPhoto, Progress], Any]
    write: Callable[[ResultFiles, Any], list[str]]
    checkpoint: str


def segment_photos(
    words: list[str],
    prompts: Sequence[ObjectPrompt],
    every_mask: bool,
    refine: bool,
    model: ModelOptions,
    out: Path,
) -> int:
    """Masks for the same prompts on every photo; writes mask.png, cutout.png, overlay.png and masks.json.

    Returns:
        how many photos failed; the error of each is on stderr.
    """
    predictor = SamPredictor(model.load())
    backend = predictor.backend

    def read(path: Path) -> OpenedPhoto:
        photo = read_photo(path)
        for prompt in prompts:  # before the slow encoder runs
            check_prompts(*prompt.arrays(), None, fit_photo((photo.shape[0], photo.shape[1])))
        return OpenedPhoto(photo, photo_to_canvas(photo, backend.canvas_size))

    def compute(path: Path, opened: OpenedPhoto, bar: Progress) -> list[FoundMask]:
        task = bar.add_task(f"{path.name}: encoding", total=len(prompts))
        predictor.encoded = _encode(predictor, opened)
        found = []
        for prompt in prompts:
            found += _predict(predictor, prompt, every_mask, refine)
            bar.update(task, advance=1, description=f"{path.name}: masks")
        return found

    return _each_photo(words, out, Steps(read, compute, ResultFiles.write_found, model.checkpoint))


def segment_boxes(
    words: list[str], find: BoxSource, every_mask: bool, refine: bool, model: ModelOptions, out: Path
) -> int:
    """Masks for the boxes that a detector found in each photo, decoded in one batch; files as ``segment_photos``.

    Returns:
        how many photos failed; the error of each is on stderr.
    """
    predictor = SamPredictor(model.load())

    def read(path: Path) -> OpenedPhoto:
        photo = read_photo(path)
        return OpenedPhoto(photo, photo_to_canvas(photo, predictor.backend.canvas_size))

    def compute(path: Path, opened: OpenedPhoto, bar: Progress) -> list[FoundMask]:
        task = bar.add_task(f"{path.name}: boxes", total=None)
        found = find(path, opened.photo)
        if not len(found):
            return []
        bar.update(task, description=f"{path.name}: masks of {len(found)} boxes")
        predictor.encoded = _encode(predictor, opened)
        return _predict_boxes(predictor, found, every_mask, refine)

    return _each_photo(words, out, Steps(read, compute, ResultFiles.write_found, model.checkpoint))


def everything_in_photos(words: list[str], settings: dict[str, Any], model: ModelOptions, out: Path) -> int:
    """All masks of every photo; writes overlay.png and masks.json. Returns how many photos failed."""
    from ..mask_generator import SamAutomaticMaskGenerator  # needs torch, which `segment` may not

    generator = SamAutomaticMaskGenerator(model.load(), output_mode="coco_rle", **settings)

    def read(path: Path) -> OpenedPhoto:
        return OpenedPhoto(read_photo(path))  # the generator makes a canvas for each crop

    def compute(path: Path, opened: OpenedPhoto, bar: Progress) -> list[dict[str, Any]]:
        task = bar.add_task(f"{path.name}: points", total=None)
        return generator.generate(opened.photo, lambda done, total: bar.update(task, completed=done, total=total))

    def write(files: ResultFiles, records: list[dict[str, Any]]) -> list[str]:
        return [files.write_everything(records)]

    return _each_photo(words, out, Steps(read, compute, write, model.checkpoint))


def _encode(predictor: SamPredictor, opened: OpenedPhoto) -> EncodedPhoto:
    assert opened.on_canvas
    canvas, fit = opened.on_canvas
    return EncodedPhoto(predictor.backend.encode(canvas), fit, opened.photo)


def _predict_boxes(predictor: SamPredictor, found: Detections, every_mask: bool, refine: bool) -> list[FoundMask]:
    boxes = found.boxes_xyxy.round(2)  # as they are written
    masks, ious, _ = predictor.predict(box=boxes, multimask_output=every_mask, batched=True, refine=refine)
    rows = zip(boxes, found.labels, found.category_ids, found.scores, masks, ious, strict=True)
    return [
        FoundMask(
            ObjectPrompt((), tuple(box.tolist())), mask, float(iou), DetectedObject(label, int(number), float(score))
        )
        for box, label, number, score, several, predicted in rows
        for mask, iou in zip(several, predicted, strict=True)
    ]


def _predict(predictor: SamPredictor, prompt: ObjectPrompt, every_mask: bool, refine: bool) -> list[FoundMask]:
    several = every_mask or prompt.ambiguous
    masks, ious, _ = predictor.predict(*prompt.arrays(), multimask_output=several, refine=refine)
    chosen = range(len(masks)) if every_mask else [best_mask(ious)]
    return [FoundMask(prompt, masks[index], float(ious[index])) for index in chosen]


def _each_photo(words: list[str], out: Path, steps: Steps) -> int:
    """Take the steps for every photo; the error of one photo among several is printed, and the rest go on."""
    paths = find_photos(words)
    folders = [out / name if len(paths) > 1 else out for name in _folder_names(paths)]
    failures = 0
    with progress_bar() as bar:
        task = bar.add_task("photos", total=len(paths), visible=len(paths) > 1)

        def compute(item: tuple[Path, Path], opened: OpenedPhoto) -> tuple[Photo, Any]:
            try:
                return opened.photo, steps.compute(item[0], opened, bar)
            finally:
                for inner in set(bar.task_ids) - {task}:  # those of this photo
                    bar.remove_task(inner)

        def write(item: tuple[Path, Path], computed: tuple[Photo, Any]) -> list[str]:
            (path, folder), (photo, found) = item, computed
            return steps.write(ResultFiles(path, photo, steps.checkpoint, folder), found)

        items = zip(paths, folders, strict=True)
        results = overlapped(items, lambda item: steps.read(item[0]), compute, write, (PhotoError, PromptError))
        with closing(results):
            for (path, _), result in results:
                if isinstance(result, Exception):
                    if len(paths) == 1:
                        raise result
                    name = f"{path}: " if isinstance(result, PromptError) else ""
                    say(bar, f"Error: {name}{result}", err=True)
                    failures += 1
                else:
                    for line in result:
                        say(bar, line)
                bar.advance(task)
    return failures


def _folder_names(paths: Sequence[Path]) -> list[str]:
    """A name for each photo: its stem, or the whole file name if two photos have the same stem."""
    stems = [path.stem for path in paths]
    names = [path.stem if stems.count(path.stem) == 1 else path.name for path in paths]
    return [name if names.count(name) == 1 else f"{name}-{index}" for index, name in enumerate(names, 1)]
