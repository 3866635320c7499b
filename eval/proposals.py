"""Object proposals on COCO, LVIS or UVO: how many of the annotated objects everything mode finds.

    python eval/proposals.py --images coco/val2017 --annotations coco/annotations/instances_val2017.json \\
        --protocol sam-64 --checkpoint default --out runs/proposals

AR@10, AR@100 and AR@1000 (small, medium and large at 1000): recall at IoU 0.5 to 0.95 of the K proposals of highest
rank, class-agnostic, crowd regions ignored; of masks, and of their boxes.

* ``sam-64``: SAM's table 4 on LVIS: a grid of 64 x 64 points, no filter by predicted IoU or stability, no crops, box
  NMS at 0.9 (SAM, arXiv 2304.02643, appendix D.3; github.com/facebookresearch/segment-anything/issues/205).
* ``sam-32``: the same with 32 x 32 points, for the rows "E32" in FastSAM's tables (arXiv 2306.12156), whose thresholds
  are not published: recall that still grows beyond 100 proposals means that little was filtered.
* ``plain``: 32 x 32 points and the thresholds of segment_anything's generator.
* ``fast``: the defaults of our generator: a quarter of 32 x 32 points, and the checkpoint's own thresholds.

Rank: the mean of predicted IoU and stability score, cut at 1000, as SAM's authors say in issue 205.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from repvit_sam.console import report_errors, spinner
from repvit_sam.eval.datasets.annotations import Annotations, read_annotations
from repvit_sam.eval.datasets.checks import check_instances
from repvit_sam.eval.metrics import Metrics
from repvit_sam.eval.metrics.proposals import RANKS, mean_recall, photo_recall, rank_proposals
from repvit_sam.eval.prompting.everything import (
    BoxNmsThresh,
    CropNLayers,
    Everything,
    Mode,
    PointsPerSide,
    PredIouThresh,
    StabilityScoreThresh,
)
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
from repvit_sam.eval.runner.pictures import Example, draw_masks
from repvit_sam.eval.runner.results import Summary
from repvit_sam.files import sha256_of
from repvit_sam.jobs.chosen_model import ChosenModel
from repvit_sam.jobs.records import Record
from repvit_sam.mask_generator import SamAutomaticMaskGenerator
from repvit_sam.photo import Photo, read_photo
from repvit_sam.rle import decode_rle

_UNFILTERED = Everything(pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=0.9)
PROPOSAL_PROTOCOLS = {
    "sam-64": _UNFILTERED.changed(points_per_side=64),
    "sam-32": _UNFILTERED,
    "plain": Everything(),
    "fast": Everything(pred_iou_thresh=None, stability_score_thresh=None, mode="fast"),
}
KINDS = ("masks", "boxes")


@dataclass(frozen=True)
class ProposalsConfig(EvaluationConfig):
    """Attributes:
    protocol: a name of PROPOSAL_PROTOCOLS.
    everything: the protocol's settings, with the choices of the command line instead.
    rank: a name of RANKS.
    """

    program = "eval/proposals.py"

    images: Path
    annotations: Path
    protocol: str
    everything: Everything
    rank: str

    def __post_init__(self) -> None:
        if self.rank not in RANKS:
            raise ValueError(f"--rank must be one of {', '.join(RANKS)}, got {self.rank!r}")

    @property
    def name(self) -> str:
        changed = "" if self.everything == PROPOSAL_PROTOCOLS[self.protocol] else ", changed"
        return f"{self.protocol}{changed}, {self.everything.points_per_side} points a side"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "images": str(self.images.resolve()),
            "annotations": sha256_of(self.annotations),
            "everything": asdict(self.everything),
            "rank": self.rank,
            "checkpoint": self.run.model.sha256,
        }


@dataclass(frozen=True, eq=False)
class ProposalsJob:
    """Recall of everything mode on every photo that has annotations."""

    model: ChosenModel
    everything: Everything
    rank: str
    annotations: Annotations

    @property
    def keys(self) -> Sequence[int]:
        return [image_id for image_id in self.annotations.image_ids if self.annotations.by_image.get(image_id)]

    def start(self) -> Callable[[int], Record]:
        return partial(self._evaluate, self.everything.generator(self.model.predictor()))

    def _evaluate(self, generator: SamAutomaticMaskGenerator, image_id: int) -> Record:
        proposals = rank_proposals(generator.generate(read_photo(self.annotations.paths[image_id])), self.rank)
        return photo_recall(proposals, self.annotations, image_id)


def find_protocol(name: str, **choices: float | str | None) -> Everything:
    """Everything mode as the protocol has it, with the choices that are not None instead.

    Raises:
        ValueError: unknown name, or a choice out of its range.
    """
    if name not in PROPOSAL_PROTOCOLS:
        raise ValueError(f"--protocol must be one of {', '.join(PROPOSAL_PROTOCOLS)}, got {name!r}")
    return PROPOSAL_PROTOCOLS[name].changed(**choices)


def read_data(config: ProposalsConfig) -> Annotations:
    """The annotations.

    Raises:
        ValueError: nothing is annotated, or something cannot be evaluated (``check_instances``).
    """
    with spinner(f"reading {config.annotations.name}"):
        data = read_annotations(config.annotations, config.images, config.run.limit)
        if not any(data.by_image.get(image_id) for image_id in data.image_ids):
            raise ValueError(f"{data.path} annotates nothing on these {len(data.image_ids)} photos")
        check_instances(data, needed=("id", "area", "bbox"))
    return data


def summarise(config: ProposalsConfig, data: Annotations, records: Mapping[int, Record]) -> Summary:
    every, model = list(records.values()), config.run.model.name
    rows: dict[str, Metrics] = {f"{model}, {kind}": mean_recall(every, kind) for kind in KINDS}
    return Summary(
        protocol={"name": config.name, "rank": config.rank} | asdict(config.everything),
        data={
            "annotations": str(config.annotations),
            "images": str(config.images),
            "photos": len(data.image_ids),
            "instances": sum(record["truths"][""] for record in every),
            "proposals_a_photo": round(float(np.mean([record["proposals"] for record in every])), 1),
        },
        metrics=rows[f"{model}, masks"],
        rows=rows,
        examples=lambda: examples_of(every, data),
    )


def examples_of(records: Sequence[Record], annotations: Annotations) -> list[Example]:
    """Each annotation with its best proposal, if it has one."""
    by_id = {truth["id"]: truth for truths in annotations.by_image.values() for truth in truths}

    def draw(best: Mapping[str, Any]) -> Photo:
        truth = by_id[best["annotation_id"]]
        photo = read_photo(annotations.paths[truth["image_id"]])
        return draw_masks(photo, annotations.mask_of(truth), decode_rle(best["segmentation"]), f"IoU {best['iou']:.2f}")

    return [Example(best["iou"], partial(draw, best)) for record in records for best in record["best"]]


def main(
    images: Annotated[Path, typer.Option(help="the photos; for LVIS the folder that holds train2017 and val2017")],
    annotations: Annotated[Path, typer.Option(help="the data set's JSON")],
    protocol: Annotated[str, typer.Option(help=", ".join(PROPOSAL_PROTOCOLS))] = "sam-64",
    points_per_side: PointsPerSide = None,
    pred_iou_thresh: PredIouThresh = None,
    stability_score_thresh: StabilityScoreThresh = None,
    box_nms_thresh: BoxNmsThresh = None,
    crop_n_layers: CropNLayers = None,
    mode: Mode = None,
    rank: Annotated[str, typer.Option(help=", ".join(RANKS))] = "mean",
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Limit = None,
    figures: SavePictures = False,
) -> None:
    """Average recall of everything mode's masks and boxes."""
    with report_errors():
        everything = find_protocol(
            protocol,
            points_per_side=points_per_side,
            pred_iou_thresh=pred_iou_thresh,
            stability_score_thresh=stability_score_thresh,
            box_nms_thresh=box_nms_thresh,
            crop_n_layers=crop_n_layers,
            mode=mode,
        )
        run = RunConfig(ChosenModel(checkpoint, engine, device, precision), out, workers, limit, figures)
        config = ProposalsConfig(run, images, annotations, protocol, everything, rank)
        data = read_data(config)
        evaluate(ProposalsJob(run.model, everything, rank, data), config, partial(summarise, config, data))


if __name__ == "__main__":
    typer.run(main)
