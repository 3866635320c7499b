"""Pictures of where a model fails: the worst instances of an evaluation, truth beside answer, on one sheet.

    python eval/clicks.py --data DIR --checkpoint small --json scores.json
    python eval/worst.py --data DIR --scores scores.json --prompt box --licence 4 --licence 5 --out worst.jpg

``--licence`` takes COCO's licence numbers (4 is CC BY 2.0, 5 is CC BY-SA 2.0): photographs that may be shown elsewhere.
At most one instance a photo; the credits that those licences ask for are printed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from PIL import Image

import repvit_sam
from repvit_sam.console import errors_as_sentences
from repvit_sam.draw import draw_prompts, overlay
from repvit_sam.eval.clicking import box_of, centre_of
from repvit_sam.eval.coco import CocoFolder, Instance
from repvit_sam.files import written_whole
from repvit_sam.photo import Photo

_TILE = 300  # pixels, each side of a tile
_SHEET_COLUMNS = 2  # pairs side by side


def worst_instances(report: dict[str, Any], prompt: str) -> list[tuple[int, float]]:
    """(annotation id, IoU), the worst first.

    Raises:
        ValueError: the report has no scores for this prompt.
    """
    scores = [(s["annotation_id"], s["iou"]) for s in report["scores"] if s["prompt"] == prompt]
    if not scores:
        raise ValueError(f"the scores hold no {prompt!r}; known: {sorted({s['prompt'] for s in report['scores']})}")
    return sorted(scores, key=lambda score: score[1])


def tile(photo: Photo, instance: Instance, predictor: repvit_sam.SamPredictor, prompt: str, value: float) -> Photo:
    """Truth (left) and answer (right) around one instance, the prompt drawn on both, the IoU written on the answer."""
    predictor.set_image(photo)
    box, (x, y) = box_of(instance.mask), centre_of(instance.mask)
    if prompt == "box":
        masks, _, _ = predictor.predict(box=box, multimask_output=False)
        answer = masks[0]
    else:
        masks, ious, _ = predictor.predict([[x, y]], [1])
        answer = masks[int(ious.argmax())]
    pictures = []
    for mask in (instance.mask, answer):
        boxes, points = ([box], []) if prompt == "box" else ([], [(x, y, 1)])
        drawn = draw_prompts(overlay(photo, [mask]), points=points, boxes=boxes)
        pictures.append(_square_around(drawn, box))
    cv2.putText(pictures[1], f"IoU {value:.2f}", (8, _TILE - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 4)
    cv2.putText(pictures[1], f"IoU {value:.2f}", (8, _TILE - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
    return np.hstack(pictures)


def _square_around(picture: Photo, box: tuple[float, float, float, float]) -> Photo:
    """The box with as much again around it, as a square tile; grey beyond the photo."""
    x0, y0, x1, y1 = box
    half = max(x1 - x0, y1 - y0, 40)
    centre_x, centre_y = (x0 + x1) / 2, (y0 + y1) / 2
    left, top = round(centre_x - half), round(centre_y - half)
    side = round(2 * half)
    padded = np.pad(picture, ((side, side), (side, side), (0, 0)), constant_values=128)
    part = padded[top + side : top + 2 * side, left + side : left + 2 * side]
    return cv2.resize(part, (_TILE, _TILE), interpolation=cv2.INTER_AREA).astype(np.uint8)


def main(
    data: Annotated[Path, typer.Option(help="COCO-format folder")],
    scores: Annotated[Path, typer.Option(help="what eval/clicks.py wrote with --json")],
    out: Annotated[Path, typer.Option(help="the sheet, .jpg or .png")],
    prompt: Annotated[str, typer.Option(help="box, or '1 click'")] = "box",
    count: int = 10,
    min_area: float = 1024,
    licence: Annotated[list[int] | None, typer.Option(help="only photos under these COCO licences; repeat")] = None,
    device: str = "auto",
) -> None:
    """Draw the worst instances of an evaluation."""
    with errors_as_sentences():
        report = json.loads(scores.read_text(encoding="utf-8"))
        content = json.loads((data / "annotations.json").read_text(encoding="utf-8"))
        images = {image["file_name"]: image for image in content["images"]}
        values = dict(worst_instances(report, prompt))
        candidates = []
        folder = CocoFolder(data, min_area=min_area)
        for labelled in (folder[index] for index in range(len(folder))):
            known = [i for i in labelled.instances if i.annotation_id in values]
            if known and (not licence or images[labelled.path.name].get("license") in licence):
                instance = min(known, key=lambda i: values[i.annotation_id])
                candidates.append((values[instance.annotation_id], labelled, instance))
        candidates.sort(key=lambda candidate: candidate[0])
        predictor = repvit_sam.SamPredictor(repvit_sam.load(report["checkpoint"], device))
        tiles = []
        for value, labelled, instance in candidates[:count]:
            tiles.append(tile(labelled.photo, instance, predictor, prompt, value))
            image = images[labelled.path.name]
            typer.echo(
                f"{value:.3f} annotation {instance.annotation_id}, {image.get('flickr_url', labelled.path.name)}"
            )
        if not tiles:
            raise ValueError(f"no instance of {min_area:g} pixels or more under these licences")
        while len(tiles) % _SHEET_COLUMNS:
            tiles.append(np.full_like(tiles[0], 255))
        rows = [np.hstack(tiles[i : i + _SHEET_COLUMNS]) for i in range(0, len(tiles), _SHEET_COLUMNS)]
        with written_whole(out) as beside:
            Image.fromarray(np.vstack(rows)).save(beside, quality=85)


if __name__ == "__main__":
    typer.run(main)
