"""Photos on disk -> results on disk: what ``repvit-sam segment`` and ``everything`` do."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import Progress

from ..canvas import fit_photo
from ..checkpoints import ALIASES
from ..console import progress_bar, say, spinner
from ..errors import PhotoError, PromptError
from ..files import atomic_write
from ..load import load
from ..mask_generator import SamAutomaticMaskGenerator
from ..masks import Mask, best_mask, mask_box_xyxy, sam_bbox
from ..photo import Photo, find_photos, read_photo
from ..predictor import SamPredictor
from ..prompts import check_prompts
from ..rle import decode_rle, encode_rle
from ..visualize import cut_out, draw_prompts, mask_picture, overlay


@dataclass(frozen=True)
class ObjectPrompt:
    """What points at one object: (x, y, label) points and a box, in photo pixels."""

    points: tuple[tuple[float, float, int], ...]
    box_xyxy: tuple[float, ...] | None

    def arrays(self) -> tuple[Any, Any, Any]:
        """point_coords, point_labels and box, as ``SamPredictor.predict`` takes them."""
        coords = [point[:2] for point in self.points] or None
        labels = [point[2] for point in self.points] or None
        return coords, labels, self.box_xyxy

    @property
    def ambiguous(self) -> bool:
        """One point may mean a thing, a part or the whole: three masks are asked for, and the best rated one taken."""
        return self.box_xyxy is None and len(self.points) == 1


@dataclass(frozen=True)
class FoundMask:
    prompt: ObjectPrompt
    mask: Mask
    predicted_iou: float

    def record(self) -> dict[str, Any]:
        """As written to masks.json: COCO's compressed RLE, box XYWH."""
        prompt: dict[str, Any] = {"points": [list(p) for p in self.prompt.points]}
        if self.prompt.box_xyxy is not None:
            prompt["box"] = list(self.prompt.box_xyxy)
        return {
            "segmentation": encode_rle(self.mask),
            "area": int(np.count_nonzero(self.mask)),
            "bbox": sam_bbox(mask_box_xyxy(self.mask)),
            "predicted_iou": round(self.predicted_iou, 4),
            "prompt": prompt,
        }


def segment_photos(
    words: list[str],
    prompts: Sequence[ObjectPrompt],
    every_mask: bool,
    checkpoint: str,
    device: str,
    out: Path,
) -> int:
    """Masks for the same prompts on every photo; writes mask.png, cutout.png, overlay.png and masks.json.

    Returns:
        how many photos failed; each is named on stderr and the rest goes on.
    """
    with spinner("loading the model"):
        predictor = SamPredictor(load(checkpoint, device))

    def work(path: Path, folder: Path, bar: Progress) -> None:
        task = bar.add_task(f"{path.name}: encoding", total=len(prompts))
        photo = read_photo(path)
        fit = fit_photo((photo.shape[0], photo.shape[1]))
        for prompt in prompts:  # before the encoder's time is spent
            check_prompts(*prompt.arrays(), None, fit)
        predictor.set_image(photo)
        found = []
        for prompt in prompts:
            found += _masks_of(predictor, prompt, every_mask)
            bar.update(task, advance=1, description=f"{path.name}: masks")
        for line in _write_segmented(path, photo, found, checkpoint, folder):
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
        _write_picture(folder / "overlay.png", overlay(photo, _Decoded(records)))
        _write_json(folder / "masks.json", path, photo, checkpoint, records)
        say(bar, f"{path}: {len(records)} masks -> {folder / 'masks.json'}, {folder / 'overlay.png'}")

    return _each_photo(words, out, work)


def _each_photo(words: list[str], out: Path, work: Callable[[Path, Path, Progress], None]) -> int:
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
            for inner in set(bar.task_ids) - {task}:  # this photo's own
                bar.remove_task(inner)
            bar.advance(task)
    return failures


def _folder_names(paths: Sequence[Path]) -> list[str]:
    """A name a photo: its stem, or the whole file name where two photos share a stem."""
    stems = [path.stem for path in paths]
    names = [path.stem if stems.count(path.stem) == 1 else path.name for path in paths]
    return [name if names.count(name) == 1 else f"{name}-{index}" for index, name in enumerate(names, 1)]


def _masks_of(predictor: SamPredictor, prompt: ObjectPrompt, every_mask: bool) -> list[FoundMask]:
    masks, ious, _ = predictor.predict(*prompt.arrays(), multimask_output=every_mask or prompt.ambiguous)
    chosen = range(len(masks)) if every_mask else [best_mask(ious)]
    return [FoundMask(prompt, masks[index], float(ious[index])) for index in chosen]


def _write_segmented(path: Path, photo: Photo, found: Sequence[FoundMask], checkpoint: str, folder: Path) -> list[str]:
    """Write the files of one photo; a line a mask."""
    lines = []
    for number, item in enumerate(found, 1):
        ending = f"_{number}" if len(found) > 1 else ""
        mask_path = folder / f"mask{ending}.png"
        _write_picture(mask_path, mask_picture(item.mask))
        _write_picture(folder / f"cutout{ending}.png", cut_out(photo, item.mask))
        x0, y0, x1, y1 = mask_box_xyxy(item.mask)
        share = np.count_nonzero(item.mask) / item.mask.size
        lines.append(
            f"{path} mask {number}: {np.count_nonzero(item.mask)} px ({share:.1%}), box {x0},{y0},{x1},{y1}, "
            f"predicted IoU {item.predicted_iou:.3f} -> {mask_path}"
        )
    points = [point for item in found for point in item.prompt.points]
    boxes = [item.prompt.box_xyxy for item in found if item.prompt.box_xyxy is not None]
    _write_picture(folder / "overlay.png", draw_prompts(overlay(photo, [item.mask for item in found]), points, boxes))
    _write_json(folder / "masks.json", path, photo, checkpoint, [item.record() for item in found])
    return lines


class _Decoded(Sequence[Mask]):
    """The masks of records, each decoded when looked at: hundreds at photo size do not fit in memory."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> Any:
        return decode_rle(self._records[index]["segmentation"])


def _write_picture(path: Path, picture: Any) -> None:
    with atomic_write(path) as beside:
        Image.fromarray(picture).save(beside)


def _write_json(path: Path, photo_path: Path, photo: Photo, checkpoint: str, records: list[dict[str, Any]]) -> None:
    content = {
        "photo": photo_path.name,
        "height": photo.shape[0],
        "width": photo.shape[1],
        "checkpoint": ALIASES.get(checkpoint, checkpoint),
        "masks": records,
    }
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(content, indent=1))
