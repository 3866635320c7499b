"""Mean IoU with prompts from ground truth: its box, its centre point, and clicks a person would make to correct it.

    python eval/clicks.py --data DIR --checkpoint default --min-area 1024

* box: one mask (the single-mask token).
* 1 click: the centre point (maximum of the distance transform); three masks, the one of best predicted IoU.
* 2, 3, 5 clicks: the next point where the error is deepest; one mask, the logits of the step before fed back.
* baselines: the box filled, the ellipse in it, OpenCV's GrabCut started from it.

Boxes are taken from the true mask, not from the annotation's ``bbox``, which differs by some pixels here and there.
"""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import repvit_sam
from repvit_sam.checkpoints import find_checkpoint
from repvit_sam.console import errors_as_sentences, progress_bar
from repvit_sam.eval.baselines import BASELINES
from repvit_sam.eval.clicking import box_of, centre_of, next_click
from repvit_sam.eval.coco import CocoFolder, Instance, LabelledPhoto
from repvit_sam.eval.metrics import iou, mean_by_size
from repvit_sam.files import sha256_of, written_whole
from repvit_sam.masks import Mask

CLICKS = (1, 2, 3, 5)


@dataclass(frozen=True)
class Score:
    """IoU of one instance under one kind of prompt."""

    prompt: str
    annotation_id: int
    area: float
    iou: float


def evaluate_photo(
    predictor: repvit_sam.SamPredictor, labelled: LabelledPhoto, clicks: Sequence[int] = CLICKS
) -> list[Score]:
    """Scores of every instance of one photo under every kind of prompt."""
    predictor.set_image(labelled.photo)
    instances = labelled.instances
    boxes = np.array([box_of(instance.mask) for instance in instances])
    masks, _, _ = predictor.predict(box=boxes, multimask_output=False, batched=True)
    scores = _scores("box", instances, masks[:, 0])
    for count, predicted in _click_rounds(predictor, instances, max(clicks)):
        if count in clicks:
            scores += _scores(_clicks_name(count), instances, predicted)
    return scores


def evaluate_baselines(labelled: LabelledPhoto) -> list[Score]:
    """The same for masks that are made from the box alone."""
    scores: list[Score] = []
    for name, make in BASELINES.items():
        masks = [make(labelled.photo, box_of(instance.mask)) for instance in labelled.instances]
        scores += _scores(name, labelled.instances, masks)
    return scores


def evaluate_folder(predictor: repvit_sam.SamPredictor, folder: CocoFolder, baselines: bool) -> list[Score]:
    """Scores of every instance of every photo, with a progress bar."""
    scores: list[Score] = []
    with progress_bar() as bar, ThreadPoolExecutor(1) as pool:
        for index in bar.track(range(len(folder)), description="photos"):
            labelled = folder[index]
            if labelled.instances:
                # GrabCut takes as long as the network; it runs beside it
                from_boxes = pool.submit(evaluate_baselines, labelled) if baselines else None
                scores += evaluate_photo(predictor, labelled)
                scores += from_boxes.result() if from_boxes else []
    return scores


def _click_rounds(
    predictor: repvit_sam.SamPredictor, instances: Sequence[Instance], rounds: int
) -> list[tuple[int, NDArray[np.bool_]]]:
    """(number of clicks, masks (B, H, W)) after each click, all instances side by side."""
    everyone = np.arange(len(instances))
    points = np.array([[centre_of(instance.mask)] for instance in instances])  # (B, 1, 2)
    labels = np.ones((len(instances), 1), dtype=int)
    masks, ious, logits = predictor.predict(points, labels, multimask_output=True, batched=True)
    best = ious.argmax(1)
    current, feedback = masks[everyone, best], logits[everyone, best][:, None]
    result = [(1, current)]
    for count in range(2, rounds + 1):
        clicks = [next_click(instance.mask, mask) for instance, mask in zip(instances, current, strict=True)]
        wrong = np.array([click is not None for click in clicks])  # who is right already keeps the mask
        padded = [click or ((0.0, 0.0), -1) for click in clicks]
        points = np.concatenate([points, np.array([[point] for point, _ in padded])], axis=1)
        labels = np.concatenate([labels, np.array([[label] for _, label in padded])], axis=1)
        masks, _, logits = predictor.predict(points, labels, mask_input=feedback, multimask_output=False, batched=True)
        current = np.where(wrong[:, None, None], masks[:, 0], current)
        feedback = np.where(wrong[:, None, None, None], logits, feedback)
        result.append((count, current))
    return result


def _scores(prompt: str, instances: Sequence[Instance], masks: Sequence[Mask] | NDArray[np.bool_]) -> list[Score]:
    return [
        Score(prompt, instance.annotation_id, instance.area, iou(instance.mask, mask))
        for instance, mask in zip(instances, masks, strict=True)
    ]


def _clicks_name(count: int) -> str:
    return "1 click" if count == 1 else f"{count} clicks"


def summarise(scores: Sequence[Score]) -> dict[str, dict[str, float | None]]:
    """Mean IoU by prompt and size, prompts in the order in which they first appear."""
    prompts = list(dict.fromkeys(score.prompt for score in scores))
    table = {}
    for prompt in prompts:
        chosen = [score for score in scores if score.prompt == prompt]
        table[prompt] = mean_by_size([score.iou for score in chosen], [score.area for score in chosen])
    return table


def main(
    data: Annotated[Path, typer.Option(help="COCO-format folder: images/ and annotations.json")],
    images: Annotated[Path | None, typer.Option(help="the photos, if not in DATA/images")] = None,
    annotations: Annotated[Path | None, typer.Option(help="the annotations, if not DATA/annotations.json")] = None,
    checkpoint: Annotated[str, typer.Option(help="name in the catalogue, or a file")] = "default",
    min_area: Annotated[float, typer.Option(help="leave out instances smaller than this, in pixels")] = 1,
    baselines: Annotated[bool, typer.Option(help="score the three trivial masks too")] = True,
    limit: Annotated[int | None, typer.Option(help="only the first N photos")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps")] = "auto",
    json_file: Annotated[Path | None, typer.Option("--json", help="write all figures and settings here")] = None,
) -> None:
    """Mean IoU with boxes, points and simulated clicks from ground truth."""
    with errors_as_sentences():
        started = time.time()
        folder = CocoFolder(data, images, annotations, min_area, limit)
        model = repvit_sam.load(checkpoint, device)
        scores = evaluate_folder(repvit_sam.SamPredictor(model), folder, baselines)
        if not scores:
            raise ValueError(f"{data} has no instance of {min_area:g} pixels or more")
        table = summarise(scores)
        instances = sum(score.prompt == "box" for score in scores)
        _print_table(table, f"{checkpoint} on {data.name}: {len(folder)} photos, {instances} instances", limit)
        if json_file:
            report: dict[str, Any] = {
                "checkpoint": checkpoint,
                "sha256": sha256_of(find_checkpoint(checkpoint)),
                "variant": model.variant,
                "data": data.name,
                "images": str(images) if images else None,
                "annotations": str(annotations) if annotations else None,
                "baselines": baselines,
                "min_area": min_area,
                "limit": limit,
                "photos": len(folder),
                "instances": instances,
                "mean_iou": table,
                "seconds": round(time.time() - started, 1),
                "device": str(model.device),
                "hardware": _hardware(model.device),
                "threads": torch.get_num_threads(),
                "versions": {"repvit_sam": repvit_sam.__version__, "torch": torch.__version__},
                "scores": [vars(score) for score in scores],
            }
            with written_whole(json_file) as beside:
                beside.write_text(json.dumps(report, indent=1))
            typer.echo(f"written: {json_file}", err=True)


def _print_table(table: dict[str, dict[str, float | None]], title: str, limit: int | None) -> None:
    subset = f" (A SUBSET: the first {limit})" if limit else ""
    typer.echo(f"mean IoU, {title}{subset}")
    view = Table()
    view.add_column("prompt")
    for size in next(iter(table.values())):
        view.add_column(size, justify="right")
    for prompt, means in table.items():
        view.add_row(prompt, *("-" if mean is None else f"{mean:.3f}" for mean in means.values()))
    Console().print(view)


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")  # platform.processor() is empty on most Linux systems
    names = re.findall(r"^model name\s*: (.*)$", cpuinfo.read_text(), re.M) if cpuinfo.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    typer.run(main)
