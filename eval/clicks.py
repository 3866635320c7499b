"""Mean IoU with prompts from ground truth: its box, its centre point, and clicks a person would make to correct it.

    python eval/clicks.py --data DIR --checkpoint default --min-area 1024 --out runs/clicks
    python eval/clicks.py --images coco/ --annotations lvis_v1_val.json --protocol efficientvit --clicks 1,3,5

* How is asked, and which mask counts: the protocol's (eval/click_protocols.py); an option changes a single choice.
* IoU is measured at photo size and averaged over instances, in all and by COCO's sizes; boundary IoU beside it.
* NoC@85 and NoC@90: clicks until that IoU, as many as are made where it is never reached (RITM, arXiv 2102.06583).
* ``--teacher``: the teacher answers the same box and the same first click; IoU between both models' masks.
* Baselines: the box filled, the ellipse in it, OpenCV's GrabCut started from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import typer

from repvit_sam.console import report_errors, spinner
from repvit_sam.eval.datasets.coco import CocoFolder
from repvit_sam.eval.prompting.click_protocols import (
    CLICK_PROTOCOLS,
    ClickProtocol,
    find_protocol,
    prompt_name,
    read_clicks,
    read_masks,
)
from repvit_sam.eval.prompting.click_scores import Score, merged, score_baselines, score_photo, summarise
from repvit_sam.eval.runner.click_pictures import tile
from repvit_sam.eval.runner.evaluated_model import EvaluatedModel
from repvit_sam.eval.runner.options import Checkpoint, Device, EngineName, Limit, Out, SaveFigures, Workers
from repvit_sam.eval.runner.pictures import Case, save_figures
from repvit_sam.eval.runner.records import Record
from repvit_sam.eval.runner.results import Results, keep, show
from repvit_sam.eval.runner.run import run
from repvit_sam.files import sha256_of
from repvit_sam.photo import Photo
from repvit_sam.predictor import SamPredictor

_PROGRAM = "eval/clicks.py"


@dataclass(frozen=True, eq=False)
class ClicksJob:
    """Scores of every instance of every photo."""

    subject: EvaluatedModel
    teacher: EvaluatedModel | None
    protocol: ClickProtocol
    folder: CocoFolder
    baselines: bool

    @property
    def keys(self) -> Sequence[str]:
        return self.folder.keys

    def start(self) -> Callable[[str], Record]:
        teacher = self.teacher.predictor() if self.teacher else None
        return partial(self._evaluate, self.subject.predictor(), teacher)

    def _evaluate(self, predictor: SamPredictor, teacher: SamPredictor | None, key: str) -> Record:
        labelled = self.folder.by_key(key)
        if not labelled.instances:
            return {"scores": []}
        with ThreadPoolExecutor(1) as pool:
            # GrabCut takes as long as the network; it runs beside it
            from_boxes = pool.submit(score_baselines, labelled) if self.baselines else None
            scores = score_photo(predictor, labelled, self.protocol, teacher)
            if from_boxes:
                scores = [merged(*pair) for pair in zip(scores, from_boxes.result(), strict=True)]
        return {"scores": scores}


def main(
    data: Annotated[Path | None, typer.Option(help="COCO-format folder: images/ and annotations.json")] = None,
    images: Annotated[Path | None, typer.Option(help="the photos, if not DATA/images")] = None,
    annotations: Annotated[Path | None, typer.Option(help="COCO or LVIS JSON, if not DATA/annotations.json")] = None,
    protocol: Annotated[str, typer.Option(help=", ".join(CLICK_PROTOCOLS))] = "house",
    clicks: Annotated[str | None, typer.Option(help="scored after so many; the last is NoC's maximum")] = None,
    clicks_after_box: Annotated[int | None, typer.Option(help="further clicks where the first prompt is a box")] = None,
    masks: Annotated[
        str | None,
        typer.Option(help="single, best-predicted or oracle; or three, for box, first click, further clicks"),
    ] = None,
    box: Annotated[str | None, typer.Option(help="mask (its tight box) or annotation (its bbox)")] = None,
    first_click: Annotated[str | None, typer.Option(help="deepest or centroid")] = None,
    next_click: Annotated[str | None, typer.Option(help="deepest, or ritm: never the same pixel again")] = None,
    point_at: Annotated[str | None, typer.Option(help="centre or corner of the pixel")] = None,
    feedback: Annotated[bool | None, typer.Option(help="the mask before goes in again with a further click")] = None,
    crowds: Annotated[bool | None, typer.Option(help="crowd regions are instances too")] = None,
    min_area: Annotated[float | None, typer.Option(help="leave out instances smaller than this, in pixels")] = None,
    baselines: Annotated[bool, typer.Option(help="score the three trivial masks too")] = True,
    teacher: Annotated[str | None, typer.Option(help="a checkpoint whose masks are compared with")] = None,
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Limit = None,
    figures: SaveFigures = False,
) -> None:
    """Mean IoU with boxes, points and simulated clicks from ground truth."""
    with report_errors():
        if figures and out is None:
            raise ValueError("--save-figures draws into OUT/figures: give --out")
        chosen = find_protocol(
            protocol,
            clicks=read_clicks(clicks),
            clicks_after_box=clicks_after_box,
            masks=read_masks(masks),
            box=box,
            first_click=first_click,
            next_click=next_click,
            point_at=point_at,
            feedback=feedback,
            crowds=crowds,
            min_area=min_area,
        )
        subject = EvaluatedModel(checkpoint, engine, device)
        taught_by = EvaluatedModel(teacher, device=device) if teacher else None
        with spinner("reading annotations"):
            from_boxes = chosen.box == "annotation"
            folder = CocoFolder(data, images, annotations, chosen.min_area, limit, chosen.crowds, from_boxes)
        if not folder.instances:
            raise ValueError(f"{folder.annotations} has no instance of {chosen.min_area:g} pixels or more")
        settings = {
            "program": _PROGRAM,
            "images": str(folder.images.resolve()),
            "annotations": sha256_of(folder.annotations),
            "protocol": chosen.settings(),
            "baselines": baselines,
            "checkpoint": subject.sha256,
            "engine": engine,
            "teacher": taught_by.sha256 if taught_by else None,
        }
        records = run(ClicksJob(subject, taught_by, chosen, folder, baselines), out, settings, workers)
        if not records:  # under torchrun the first rank tells
            return
        scores = [
            {"photo": key, **score}
            for key, record in zip(folder.keys, records, strict=True)
            for score in record["scores"]
        ]
        if not scores:
            raise ValueError(f"no instance of {folder.annotations} covers a pixel")
        counted = f"{len(scores)} instance{'' if len(scores) == 1 else 's'}"
        rows = summarise(scores, chosen, taught_by.name if taught_by else None)
        results = Results(
            program=_PROGRAM,
            subject=subject,
            protocol={
                **asdict(chosen),
                "name": f"{chosen.name}, {counted} of {chosen.min_area:g} px or more",
                "baselines": baselines,
                "teacher": teacher,
            },
            data={
                "images": str(folder.images),
                "annotations": str(folder.annotations),
                "photos": len(folder),
                "instances": len(scores),
            },
            figures={prompt: row["all"] for prompt, row in rows.items()},
            seconds=sum(record["seconds"] for record in records),
            limit=limit,
            workers=workers,
            rows=rows,
            scores=scores,
        )
        show(results)
        if out:
            keep(results, out)
        if out and figures:
            save_figures(out / "figures", _cases(scores, folder, subject, chosen))


def _cases(scores: Sequence[Score], folder: CocoFolder, subject: EvaluatedModel, protocol: ClickProtocol) -> list[Case]:
    """Every instance by what comes of its box."""
    opened = cache(subject.predictor)
    prompt = prompt_name(0, box=True)

    @cache  # where there are few cases, the best are among the worst
    def draw(index: int) -> Photo:
        score = scores[index]
        labelled = folder.by_key(score["photo"])
        instance = next(each for each in labelled.instances if each.annotation_id == score["annotation_id"])
        caption = f"IoU {score['iou'][prompt]:.2f}"
        return tile(opened(), labelled.photo, instance, protocol, prompt, caption)

    return [Case(score["iou"][prompt], partial(draw, index)) for index, score in enumerate(scores)]


if __name__ == "__main__":
    typer.run(main)
