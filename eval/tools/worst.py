"""Pictures of where a model fails: the worst instances of an evaluation, truth beside answer, on one sheet.

    python eval/clicks.py --data DIR --checkpoint small --out runs/clicks
    python eval/worst.py --scores runs/clicks/results.json --prompt box --licence 4 --licence 5 --out worst.jpg

``--licence`` takes COCO's licence numbers (4 is CC BY 2.0, 5 is CC BY-SA 2.0): photographs that may be shown elsewhere.
At most one instance a photo; the credits that those licences ask for are printed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from repvit_sam.console import report_errors
from repvit_sam.eval.datasets.coco import CocoFolder
from repvit_sam.eval.prompting.click_protocols import protocol_from_json
from repvit_sam.eval.prompting.click_scores import Score
from repvit_sam.eval.runner.click_pictures import tile
from repvit_sam.eval.runner.evaluated_model import EvaluatedModel
from repvit_sam.eval.runner.options import Device
from repvit_sam.eval.runner.pictures import save_picture, sheet

PROGRAM = "eval/clicks.py"


def read_report(path: Path) -> dict[str, Any]:
    """What eval/clicks.py wrote.

    Raises:
        ValueError: something else.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; --scores takes the results.json of {PROGRAM}")
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["program"] == PROGRAM and report["scores"]:
            return report
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{path} holds no scores of {PROGRAM}")


def worst_instances(scores: Sequence[Score], prompt: str) -> list[Score]:
    """The worst first.

    Raises:
        ValueError: there are no scores for this prompt.
    """
    known = list(scores[0]["iou"])
    if prompt not in known:
        raise ValueError(f"the scores hold no {prompt!r}; known: {', '.join(known)}")
    return sorted(scores, key=lambda score: score["iou"][prompt])


def main(
    scores: Annotated[Path, typer.Option(help="the results.json that eval/clicks.py wrote")],
    out: Annotated[Path, typer.Option(help="the sheet, .jpg or .png")],
    data: Annotated[Path | None, typer.Option(help="COCO-format folder, if it no longer lies where it did")] = None,
    prompt: Annotated[str, typer.Option(help="box, '1 click', '3 clicks', ...: a row of the table")] = "box",
    count: Annotated[int, typer.Option(min=1)] = 10,
    min_area: float = 1024,
    licence: Annotated[list[int] | None, typer.Option(help="only photos under these COCO licences; repeat")] = None,
    device: Device = "auto",
) -> None:
    """Draw the worst instances of an evaluation."""
    with report_errors():
        report = read_report(scores)
        ranked = worst_instances(report["scores"], prompt)
        protocol = protocol_from_json(report["protocol"])
        if prompt not in protocol.prompts:
            raise ValueError(f"{prompt!r} was not asked of the model; draw one of {', '.join(protocol.prompts)}")
        subject = EvaluatedModel(report["checkpoint"], report["engine"], device)
        if subject.sha256 != report["sha256"]:
            raise ValueError(f"{report['checkpoint']} has changed since {scores} was written; evaluate it again")
        images, annotations = (None, None) if data else (Path(report["data"][key]) for key in ("images", "annotations"))
        folder = CocoFolder(data, images, annotations, min_area=protocol.min_area, crowds=protocol.crowds)
        if not {score["photo"] for score in ranked} <= set(folder.keys):
            raise ValueError(f"{folder.annotations} is not what {scores} was made with: photos of it are not there")
        chosen: dict[str, Score] = {}  # by photo
        for score in ranked:
            allowed = not licence or folder.entry(score["photo"]).get("license") in licence
            if allowed and score["area"] >= min_area and len(chosen) < count:
                chosen.setdefault(score["photo"], score)
        if not chosen:
            raise ValueError(f"no instance of {min_area:g} pixels or more under these licences")
        predictor = subject.predictor()
        tiles = []
        for key, score in chosen.items():
            labelled, value = folder.by_key(key), score["iou"][prompt]
            instance = next(each for each in labelled.instances if each.annotation_id == score["annotation_id"])
            tiles.append(tile(predictor, labelled.photo, instance, protocol, prompt, f"IoU {value:.2f}"))
            credit = labelled.entry.get("flickr_url", labelled.path.name)
            typer.echo(f"{value:.3f} annotation {instance.annotation_id}, {credit}")
        save_picture(out, sheet(tiles))


if __name__ == "__main__":
    typer.run(main)
