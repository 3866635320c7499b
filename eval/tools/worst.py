"""Pictures of where a model fails: the worst instances of an evaluation, annotated beside predicted masks.

    python eval/clicks.py --data DIR --checkpoint small --out runs/clicks
    python eval/tools/worst.py --scores runs/clicks/results.json --prompt box --licence 4 --licence 5 --out worst.jpg

``--licence`` takes COCO's licence numbers (4 is CC BY 2.0, 5 is CC BY-SA 2.0): photographs that may be shown elsewhere.
Shows at most one instance of a photo, and prints the credits that those licences require.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from repvit_sam.console import report_errors
from repvit_sam.eval.datasets.coco import CocoFolder
from repvit_sam.eval.prompting.click_protocols import ClickProtocol, protocol_from_json
from repvit_sam.eval.prompting.click_scores import Score
from repvit_sam.eval.runner.options import Device
from repvit_sam.eval.runner.pictures import draw_prompted, save_picture, sheet
from repvit_sam.foreign_json import read_foreign_json
from repvit_sam.jobs.chosen_model import ChosenModel
from repvit_sam.photo import Photo
from repvit_sam.predictor import SamPredictor

PROGRAM = "eval/clicks.py"


def read_report(path: Path) -> dict[str, Any]:
    """The results.json of eval/clicks.py.

    Raises:
        ValueError: the file is missing or something else.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; --scores takes the results.json of {PROGRAM}")
    try:
        report = read_foreign_json(path)
        if report["program"] == PROGRAM and report["scores"]:
            return report
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{path} holds no scores of {PROGRAM}")


def worst_instances(scores: Sequence[Score], prompt: str) -> list[Score]:
    """Scores by rising IoU.

    Raises:
        ValueError: there are no scores for this prompt.
    """
    known = list(scores[0]["iou"])
    if prompt not in known:
        raise ValueError(f"the scores have no prompt {prompt!r}; they have {', '.join(known)}")
    return sorted(scores, key=lambda score: score["iou"][prompt])


def find_model(report: Mapping[str, Any], device: str) -> ChosenModel:
    """The model that was evaluated.

    Raises:
        ValueError: its checkpoint is another one now.
    """
    model = ChosenModel(report["checkpoint"], report["engine"], device)
    if model.sha256 != report["sha256"]:
        raise ValueError(f"{report['checkpoint']} has changed since the scores were written; evaluate it again")
    return model


def find_photos(report: Mapping[str, Any], data: Path | None, protocol: ClickProtocol) -> CocoFolder:
    """The photos that were evaluated: where the report says, or in ``data``.

    Raises:
        ValueError: some of them are not there.
    """
    images, annotations = (None, None) if data else (Path(report["data"][key]) for key in ("images", "annotations"))
    folder = CocoFolder(data, images, annotations, min_area=protocol.min_area, crowds=protocol.crowds)
    if not {score["photo"] for score in report["scores"]} <= set(folder.keys):
        raise ValueError(f"{folder.annotations} lacks photos that were evaluated; --data takes their folder")
    return folder


def choose(
    ranked: Sequence[Score], folder: CocoFolder, count: int, min_area: float, licences: Sequence[int] | None
) -> list[Score]:
    """The first ``count``, of at least ``min_area`` pixels, under these licences, one of each photo.

    Raises:
        ValueError: there is none.
    """
    chosen: dict[str, Score] = {}  # by photo
    for score in ranked:
        allowed = not licences or folder.entry(score["photo"]).get("license") in licences
        if allowed and score["area"] >= min_area and len(chosen) < count:
            chosen.setdefault(score["photo"], score)
    if not chosen:
        raise ValueError(f"no instance of {min_area:g} pixels or more under these licences")
    return list(chosen.values())


def draw(predictor: SamPredictor, folder: CocoFolder, protocol: ClickProtocol, prompt: str, score: Score) -> Photo:
    """The picture of one instance; prints its IoU and the credit of its photo."""
    labelled, value = folder.by_key(score["photo"]), score["iou"][prompt]
    instance = next(each for each in labelled.instances if each.annotation_id == score["annotation_id"])
    credit = labelled.entry.get("flickr_url", labelled.path.name)
    typer.echo(f"{value:.3f} annotation {instance.annotation_id}, {credit}")
    return draw_prompted(predictor, labelled.photo, instance, protocol, prompt, f"IoU {value:.2f}")


def main(
    scores: Annotated[Path, typer.Option(help="the results.json that eval/clicks.py wrote")],
    out: Annotated[Path, typer.Option(help="the sheet, .jpg or .png")],
    data: Annotated[Path | None, typer.Option(help="COCO-format folder, if it has moved")] = None,
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
            raise ValueError(f"{prompt!r} is no prompt of the model; give one of {', '.join(protocol.prompts)}")
        model = find_model(report, device)
        folder = find_photos(report, data, protocol)
        chosen = choose(ranked, folder, count, min_area, licence)
        predictor = model.predictor()
        tiles = [draw(predictor, folder, protocol, prompt, score) for score in chosen]
        save_picture(out, sheet(tiles))


if __name__ == "__main__":
    typer.run(main)
