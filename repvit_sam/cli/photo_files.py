"""Photos on disk -> masks on disk: the work of ``repvit-sam segment`` and ``everything``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from ..canvas import fit_photo
from ..console import progress_bar, say, spinner
from ..errors import PhotoError, PromptError
from ..loading import load
from ..mask_generator import SamAutomaticMaskGenerator
from ..masks import best_mask
from ..photo import find_photos, read_photo
from ..predictor import SamPredictor
from ..prompts import check_prompts
from .result_files import FoundMask, ObjectPrompt, ResultFiles


def segment_photos(
    words: list[str],
    prompts: Sequence[ObjectPrompt],
    every_mask: bool,
    refine: bool,
    checkpoint: str,
    device: str,
    out: Path,
) -> int:
    """Masks for the same prompts on every photo; writes mask.png, cutout.png, overlay.png and masks.json.

    Returns:
        how many photos failed; the error of each is on stderr.
    """
    with spinner("loading the model"):
        predictor = SamPredictor(load(checkpoint, device))

    def work(path: Path, folder: Path, bar: Progress) -> None:
        task = bar.add_task(f"{path.name}: encoding", total=len(prompts))
        photo = read_photo(path)
        fit = fit_photo((photo.shape[0], photo.shape[1]))
        for prompt in prompts:  # before the slow encoder runs
            check_prompts(*prompt.arrays(), None, fit)
        predictor.set_image(photo)
        found = []
        for prompt in prompts:
            found += _predict(predictor, prompt, every_mask, refine)
            bar.update(task, advance=1, description=f"{path.name}: masks")
        for line in ResultFiles(path, photo, checkpoint, folder).write_found(found):
            say(bar, line)

    return _each_photo(words, out, work)


def everything_in_photos(words: list[str], settings: dict[str, Any], checkpoint: str, device: str, out: Path) -> int:
    """All masks of every photo; writes overlay.png and masks.json. Returns how many photos failed."""
    with spinner("loading the model"):
        generator = SamAutomaticMaskGenerator(load(checkpoint, device), output_mode="coco_rle", **settings)

    def work(path: Path, folder: Path, bar: Progress) -> None:
        task = bar.add_task(f"{path.name}: points", total=None)
        photo = read_photo(path)
        records = generator.generate(photo, lambda done, total: bar.update(task, completed=done, total=total))
        say(bar, ResultFiles(path, photo, checkpoint, folder).write_everything(records))

    return _each_photo(words, out, work)


def _predict(predictor: SamPredictor, prompt: ObjectPrompt, every_mask: bool, refine: bool) -> list[FoundMask]:
    several = every_mask or prompt.ambiguous
    masks, ious, _ = predictor.predict(*prompt.arrays(), multimask_output=several, refine=refine)
    chosen = range(len(masks)) if every_mask else [best_mask(ious)]
    return [FoundMask(prompt, masks[index], float(ious[index])) for index in chosen]


def _each_photo(words: list[str], out: Path, work: Callable[[Path, Path, Progress], None]) -> int:
    """Call ``work`` for every photo; the error of one photo among several is printed, and the rest go on."""
    paths = find_photos(words)
    failures = 0
    with progress_bar() as bar:
        task = bar.add_task("photos", total=len(paths), visible=len(paths) > 1)
        for path, name in zip(paths, _folder_names(paths), strict=True):
            try:
                work(path, out / name if len(paths) > 1 else out, bar)
            except (PhotoError, PromptError) as error:
                if len(paths) == 1:
                    raise
                say(bar, f"Error: {path}: {error}" if isinstance(error, PromptError) else f"Error: {error}", err=True)
                failures += 1
            for inner in set(bar.task_ids) - {task}:  # those of this photo
                bar.remove_task(inner)
            bar.advance(task)
    return failures


def _folder_names(paths: Sequence[Path]) -> list[str]:
    """A name for each photo: its stem, or the whole file name if two photos have the same stem."""
    stems = [path.stem for path in paths]
    names = [path.stem if stems.count(path.stem) == 1 else path.name for path in paths]
    return [name if names.count(name) == 1 else f"{name}-{index}" for index, name in enumerate(names, 1)]
