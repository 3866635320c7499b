"""Mean IoU with prompts from ground truth: its box, its centre point, and clicks a person would make to correct it.

    python eval/clicks.py --data DIR --checkpoint default --min-area 1024 --out runs/clicks
    python eval/clicks.py --images coco/ --annotations lvis_v1_val.json --protocol efficientvit --clicks 1,3,5

* Prompts, and which mask counts: as the protocol says (eval/prompting/click_protocols.py); an option changes any of its
  choices.
* IoU is measured at photo size and averaged over instances, in all and by COCO's sizes; boundary IoU beside it.
* NoC@85 and NoC@90: clicks until that IoU, as many as are made where it is never reached (RITM, arXiv 2102.06583).
* ``--teacher``: the teacher gets the same box and the same first click; IoU between both models' masks.
* Baselines: the box filled, the ellipse in it, OpenCV's GrabCut started from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

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
from repvit_sam.eval.prompting.click_scores import Score, mean_scores, merged, score_baselines, score_photo
from repvit_sam.eval.runner.config import EvaluationConfig, RunConfig
from repvit_sam.eval.runner.evaluate import evaluate
from repvit_sam.eval.runner.options import (
    Checkpoint,
    Device,
    EngineName,
    Limit,
    Out,
    PrecisionName,
    SavePictures,
    Workers,
)
from repvit_sam.eval.runner.pictures import Example, draw_prompted
from repvit_sam.eval.runner.results import Summary
from repvit_sam.files import sha256_of
from repvit_sam.jobs.chosen_model import ChosenModel
from repvit_sam.jobs.records import Record
from repvit_sam.photo import Photo
from repvit_sam.predictor import SamPredictor


@dataclass(frozen=True)
class ClicksConfig(EvaluationConfig):
    """Attributes:
    teacher: a checkpoint whose masks are compared.
    baselines: score the masks that are made from the box alone, too.
    """

    program = "eval/clicks.py"

    images: Path
    annotations: Path
    protocol: ClickProtocol
    teacher: ChosenModel | None
    baselines: bool

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "images": str(self.images.resolve()),
            "annotations": sha256_of(self.annotations),
            "protocol": self.protocol.settings(),
            "baselines": self.baselines,
            **self.run.model.settings,
            "teacher": self.teacher.sha256 if self.teacher else None,
        }


@dataclass(frozen=True, eq=False)
class ClicksJob:
    """Scores of every instance of a photo."""

    model: ChosenModel
    teacher: ChosenModel | None
    protocol: ClickProtocol
    folder: CocoFolder
    baselines: bool

    @property
    def keys(self) -> Sequence[str]:
        return self.folder.keys

    def start(self) -> Callable[[str], Record]:
        teacher = self.teacher.predictor() if self.teacher else None
        return partial(self._evaluate, self.model.predictor(), teacher)

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


def summarise(config: ClicksConfig, folder: CocoFolder, records: Mapping[str, Record]) -> Summary:
    scores = [{"photo": key, **score} for key, record in records.items() for score in record["scores"]]
    if not scores:
        raise ValueError(f"no instance of {config.annotations} covers a pixel")
    protocol, teacher = config.protocol, config.teacher
    count = f"{len(scores)} instance{'' if len(scores) == 1 else 's'}"
    rows = mean_scores(scores, protocol, teacher.name if teacher else None)
    return Summary(
        protocol={
            **asdict(protocol),
            "name": f"{protocol.name}, {count} of {protocol.min_area:g} px or more",
            "baselines": config.baselines,
            "teacher": teacher.checkpoint if teacher else None,
        },
        data={
            "images": str(config.images),
            "annotations": str(config.annotations),
            "photos": len(folder),
            "instances": len(scores),
        },
        metrics={prompt: row["all"] for prompt, row in rows.items()},
        rows=rows,
        scores=scores,
        examples=lambda: examples_of(scores, folder, config),
    )


def examples_of(scores: Sequence[Score], folder: CocoFolder, config: ClicksConfig) -> list[Example]:
    """Every instance with the mask of its box."""
    predictor = cache(config.run.model.predictor)
    prompt = prompt_name(0, box=True)

    @cache  # where there are few instances, the best are among the worst
    def draw(index: int) -> Photo:
        score = scores[index]
        labelled = folder.by_key(score["photo"])
        instance = next(each for each in labelled.instances if each.annotation_id == score["annotation_id"])
        caption = f"IoU {score['iou'][prompt]:.2f}"
        return draw_prompted(predictor(), labelled.photo, instance, config.protocol, prompt, caption)

    return [Example(score["iou"][prompt], partial(draw, index)) for index, score in enumerate(scores)]


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
    feedback: Annotated[bool | None, typer.Option(help="a further click gets the mask before as input")] = None,
    refine: Annotated[bool | None, typer.Option("--refine", help="a second look at each object")] = None,
    crowds: Annotated[bool | None, typer.Option(help="crowd regions are instances too")] = None,
    min_area: Annotated[float | None, typer.Option(help="leave out instances smaller than this, in pixels")] = None,
    baselines: Annotated[bool, typer.Option(help="score the three trivial masks too")] = True,
    teacher: Annotated[str | None, typer.Option(help="a checkpoint whose masks are compared")] = None,
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Limit = None,
    figures: SavePictures = False,
) -> None:
    """Mean IoU with boxes, points and simulated clicks from ground truth."""
    with report_errors():
        run = RunConfig(ChosenModel(checkpoint, engine, device, precision), out, workers, limit, figures)
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
            refine=refine,
            crowds=crowds,
            min_area=min_area,
        )
        compared = ChosenModel(teacher, device=device) if teacher else None
        with spinner("reading annotations"):
            from_boxes = chosen.box == "annotation"
            folder = CocoFolder(data, images, annotations, chosen.min_area, limit, chosen.crowds, from_boxes)
        if not folder.instances:
            raise ValueError(f"{folder.annotations} has no instance of {chosen.min_area:g} pixels or more")
        config = ClicksConfig(run, folder.images, folder.annotations, chosen, compared, baselines)
        job = ClicksJob(run.model, compared, chosen, folder, baselines)
        evaluate(job, config, partial(summarise, config, folder))


if __name__ == "__main__":
    typer.run(main)
