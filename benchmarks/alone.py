"""Work in a process of its own, so that its peak of memory is its own; each function loads what it needs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import segment_anything
import torch
from pycocotools import mask as coco_mask
from timing import load_ours, load_published, random_boxes, set_threads

import repvit_sam
from repvit_sam.processes import fresh_processes

WORKS = ("load", "open", "click", "boxes", "everything")


@dataclass(frozen=True)
class Setup:
    """Which model on which photo. ``engine`` None is the reference: the published network in segment_anything."""

    engine: str | None
    checkpoint: str
    precision: str | None
    photo: Path
    threads: int | None = None
    points_per_side: int = 16
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    boxes: int = 100
    mode: str = "fast"  # of ours


@dataclass(frozen=True)
class Everything:
    """What one run of everything mode gave."""

    milliseconds: float
    peak_mib: float
    masks: list[Any]  # COCO's RLE


def alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``work`` in a fresh process."""
    with ProcessPoolExecutor(1, fresh_processes()) as pool:
        return pool.submit(work, *arguments).result()


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count what the parent held before this program was started
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def generate_everything(setup: Setup) -> Everything:
    """Everything mode on the photo, once, after a first click that warms up."""
    set_threads(setup.threads)
    model = load_model(setup)
    photo = repvit_sam.read_photo(setup.photo)
    generator = _generator(setup, model)
    generator.predictor.set_image(photo)
    _click(generator.predictor, photo)
    start = time.perf_counter()
    records = generator.generate(photo)
    milliseconds = (time.perf_counter() - start) * 1000
    return Everything(milliseconds, peak_mib(), [record["segmentation"] for record in records])


def peak_after(setup: Setup, work: str) -> float:
    """Peak of memory in MiB of a process that loads the model and does one of ``WORKS``."""
    set_threads(setup.threads)
    model = load_model(setup)
    photo = repvit_sam.read_photo(setup.photo)
    if work == "everything":
        _generator(setup, model).generate(photo)
    elif work != "load":
        predictor: Any = (repvit_sam if setup.engine else segment_anything).SamPredictor(model)
        predictor.set_image(photo)
        if work == "click":
            _click(predictor, photo)
        elif work == "boxes":
            _boxes(setup, predictor)
    return peak_mib()


def load_model(setup: Setup) -> Any:
    """Ours, or the reference."""
    if setup.engine is None:
        return load_published(setup.checkpoint)
    return load_ours(setup.checkpoint, setup.engine, setup.precision)


def matched(theirs: list[Any], ours: list[Any], least_iou: float = 0.95) -> tuple[int, int]:
    """How many of their masks have a mask of ours that is the same (IoU), and how many of ours one of theirs."""
    if not theirs or not ours:
        return 0, 0
    same = coco_mask.iou(theirs, ours, [0] * len(ours)) >= least_iou
    return int(same.any(axis=1).sum()), int(same.any(axis=0).sum())


def _generator(setup: Setup, model: Any) -> Any:
    library: Any = repvit_sam if setup.engine else segment_anything
    ours = {"mode": setup.mode} if setup.engine else {}
    return library.SamAutomaticMaskGenerator(
        model,
        points_per_side=setup.points_per_side,
        pred_iou_thresh=setup.pred_iou_thresh,
        stability_score_thresh=setup.stability_score_thresh,
        output_mode="coco_rle",
        **ours,
    )


def _click(predictor: Any, photo: Any) -> None:
    centre = np.array([[photo.shape[1] / 2, photo.shape[0] / 2]])
    predictor.predict(point_coords=centre, point_labels=np.array([1]))


def _boxes(setup: Setup, predictor: Any) -> None:
    boxes = random_boxes(predictor.original_size, setup.boxes)
    if setup.engine:
        predictor.predict(box=boxes, multimask_output=False, batched=True)
        return
    on_canvas = predictor.transform.apply_boxes_torch(torch.as_tensor(boxes).float(), predictor.original_size)
    predictor.predict_torch(None, None, on_canvas, multimask_output=False)
