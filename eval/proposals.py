"""Object proposals on COCO, LVIS or UVO: how much of what is annotated everything mode finds, whatever its category.

    python eval/proposals.py --images coco/val2017 --annotations coco/annotations/instances_val2017.json \\
        --protocol sam-64 --checkpoint default --out runs/proposals

AR@10, AR@100 and AR@1000 (small, medium and large at 1000): recall at IoU 0.5 to 0.95 of the K proposals of best rank,
class-agnostic, crowd regions ignored; of masks, and of their boxes.

* ``sam-64``: SAM's table 4 on LVIS: a grid of 64 x 64 points, no filter by predicted IoU or stability, no crops, box
  NMS at 0.9 (SAM, arXiv 2304.02643, appendix D.3; github.com/facebookresearch/segment-anything/issues/205).
* ``sam-32``: the same with 32 x 32 points, for the rows "E32" in FastSAM's tables (arXiv 2306.12156), whose thresholds
  are not published: recall that still grows beyond 100 proposals means that little was filtered.
* ``plain``: 32 x 32 points and the defaults of SamAutomaticMaskGenerator.

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
from pycocotools import mask as coco_mask

from repvit_sam.console import report_errors, spinner
from repvit_sam.eval.datasets.annotations import Annotation, Annotations, read_annotations
from repvit_sam.eval.datasets.checks import check_instances
from repvit_sam.eval.metrics.average_precision import average_recall
from repvit_sam.eval.metrics.box_recall import average_box_recall
from repvit_sam.eval.prompting.everything import (
    BoxNmsThresh,
    CropNLayers,
    Everything,
    PointsPerSide,
    PredIouThresh,
    StabilityScoreThresh,
)
from repvit_sam.eval.runner.evaluated_model import EvaluatedModel
from repvit_sam.eval.runner.options import Checkpoint, Device, Limit, Out, SaveFigures, Workers
from repvit_sam.eval.runner.pictures import Case, save_figures, truth_and_answer
from repvit_sam.eval.runner.records import Record
from repvit_sam.eval.runner.results import Results, keep, show
from repvit_sam.eval.runner.run import run
from repvit_sam.files import sha256_of
from repvit_sam.mask_generator import SamAutomaticMaskGenerator
from repvit_sam.photo import Photo, read_photo
from repvit_sam.rle import decode_rle

_UNFILTERED = Everything(pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=0.9)
PROTOCOLS = {
    "sam-64": _UNFILTERED.changed(points_per_side=64),
    "sam-32": _UNFILTERED,
    "plain": Everything(),
}
RANKS: dict[str, Callable[[Mapping[str, Any]], float]] = {
    "mean": lambda proposal: (proposal["predicted_iou"] + proposal["stability_score"]) / 2,
    "predicted-iou": lambda proposal: proposal["predicted_iou"],
    "stability": lambda proposal: proposal["stability_score"],
}
LIMITS = (10, 100, 1000)
KINDS = ("masks", "boxes")

_PROGRAM = "eval/proposals.py"
_SMALL, _LARGE = 32.0**2, 96.0**2  # COCO's


@dataclass(frozen=True, eq=False)
class ProposalsJob:
    """Recall of everything mode on every photo on which something is annotated."""

    subject: EvaluatedModel
    everything: Everything
    rank: str
    annotations: Annotations

    @property
    def keys(self) -> Sequence[str]:
        return [str(image_id) for image_id in self.annotations.image_ids if self.annotations.by_image.get(image_id)]

    def start(self) -> Callable[[str], Record]:
        return partial(self._evaluate, self.everything.generator(self.subject.predictor()))

    def _evaluate(self, generator: SamAutomaticMaskGenerator, key: str) -> Record:
        image_id = int(key)
        photo = read_photo(self.annotations.paths[image_id])
        return evaluate_photo(ranked(generator.generate(photo), self.rank), self.annotations, image_id)


def ranked(proposals: Sequence[Mapping[str, Any]], rank: str) -> list[dict[str, Any]]:
    """Records of the generator -> the best 1000 as segmentation and score, best first."""
    scored = [{"segmentation": one["segmentation"], "score": float(RANKS[rank](one))} for one in proposals]
    return sorted(scored, key=lambda proposal: -proposal["score"])[: LIMITS[-1]]


def evaluate_photo(proposals: Sequence[Mapping[str, Any]], annotations: Annotations, image_id: int) -> Record:
    """Recall on one photo: ``masks`` and ``boxes`` (name -> AR), how many ``truths`` of each size it is of, how many
    ``proposals`` there were, and of each annotation the ``best`` proposal."""
    truths = annotations.by_image[image_id]
    alone = {
        "images": [annotations.images[image_id]],
        "annotations": [{**truth, "category_id": truth.get("category_id", 1)} for truth in truths],
        "categories": [],
    }
    results = [{**proposal, "image_id": image_id} for proposal in proposals]
    return {
        "masks": average_recall(alone, results, [image_id], LIMITS),
        "boxes": average_box_recall(alone, results, [image_id], LIMITS),
        "truths": count_by_size([truth["area"] for truth in truths]),
        "proposals": len(proposals),
        "best": best_of(proposals, annotations, truths),
    }


def best_of(
    proposals: Sequence[Mapping[str, Any]], annotations: Annotations, truths: Sequence[Annotation]
) -> list[dict[str, Any]]:
    """annotation_id, iou and segmentation of the proposal that fits each annotation best; of those that one touches."""
    masks = [proposal["segmentation"] for proposal in proposals]
    ious = coco_mask.iou(masks, [annotations.rle_of(truth) for truth in truths], [0] * len(truths))
    if not masks or not np.any(ious):
        return []
    found = zip(truths, ious.argmax(0), ious.max(0), strict=True)
    return [
        {"annotation_id": truth["id"], "iou": round(float(best), 4), "segmentation": masks[place]}
        for truth, place, best in found
        if best > 0
    ]


def count_by_size(areas: Sequence[float]) -> dict[str, int]:
    """How many in all, small, medium and large; one on a border counts for both sides, as in pycocotools."""
    values = np.asarray(areas, dtype=float)
    return {
        "": len(values),
        "s": int((values <= _SMALL).sum()),
        "m": int(((values >= _SMALL) & (values <= _LARGE)).sum()),
        "l": int((values >= _LARGE).sum()),
    }


def summarise(records: Sequence[Record], kind: str) -> dict[str, float | None]:
    """Recall over all photos: each photo's, weighted by the annotations it is of.

    That is pycocotools' recall of all photos at once, as recall is a share of the annotations, and photos do not mix;
    what is kept of a photo stays small that way.
    """
    figures: dict[str, float | None] = {}
    for name in records[0][kind]:
        size = name.removeprefix("AR").split("@")[0]
        weights = [record["truths"][size] for record in records]
        found = [weight * record[kind][name] for weight, record in zip(weights, records, strict=True) if weight]
        figures[name] = sum(found) / sum(weights) if sum(weights) else None
    return figures


def main(
    images: Annotated[Path, typer.Option(help="the photos; for LVIS the folder that holds train2017 and val2017")],
    annotations: Annotated[Path, typer.Option(help="the data set's JSON")],
    protocol: Annotated[str, typer.Option(help=", ".join(PROTOCOLS))] = "sam-64",
    points_per_side: PointsPerSide = None,
    pred_iou_thresh: PredIouThresh = None,
    stability_score_thresh: StabilityScoreThresh = None,
    box_nms_thresh: BoxNmsThresh = None,
    crop_n_layers: CropNLayers = None,
    rank: Annotated[str, typer.Option(help=", ".join(RANKS))] = "mean",
    checkpoint: Checkpoint = "default",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Limit = None,
    figures: SaveFigures = False,
) -> None:
    """Average recall of everything mode's masks and boxes."""
    with report_errors():
        if protocol not in PROTOCOLS:
            raise ValueError(f"--protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
        if rank not in RANKS:
            raise ValueError(f"--rank must be one of {', '.join(RANKS)}, got {rank!r}")
        if figures and out is None:
            raise ValueError("--save-figures draws into the folder of --out: give one")
        everything = PROTOCOLS[protocol].changed(
            points_per_side=points_per_side,
            pred_iou_thresh=pred_iou_thresh,
            stability_score_thresh=stability_score_thresh,
            box_nms_thresh=box_nms_thresh,
            crop_n_layers=crop_n_layers,
        )
        subject = EvaluatedModel(checkpoint, "torch", device)
        with spinner(f"reading {annotations.name}"):
            data = read_annotations(annotations, images, limit)
            check(data)
        settings = {
            "program": _PROGRAM,
            "images": str(images.resolve()),
            "annotations": sha256_of(annotations),
            "everything": asdict(everything),
            "rank": rank,
            "checkpoint": subject.sha256,
        }
        records = run(ProposalsJob(subject, everything, rank, data), out, settings, workers)
        if not records:  # under torchrun the first rank tells
            return
        rows = {f"{subject.name}, {kind}": summarise(records, kind) for kind in KINDS}
        changed = "" if everything == PROTOCOLS[protocol] else ", changed"
        results = Results(
            program=_PROGRAM,
            subject=subject,
            protocol={"name": f"{protocol}{changed}, {everything.points_per_side} points a side", "rank": rank}
            | asdict(everything),
            data={
                "annotations": str(annotations),
                "images": str(images),
                "photos": len(data.image_ids),
                "instances": sum(record["truths"][""] for record in records),
                "proposals_a_photo": round(float(np.mean([record["proposals"] for record in records])), 1),
            },
            figures=rows[f"{subject.name}, masks"],
            seconds=sum(record["seconds"] for record in records),
            limit=limit,
            workers=workers,
            rows=rows,
        )
        show(results)
        if out:
            keep(results, out)
        if out and figures:
            save_figures(out / "figures", cases(records, data))


def check(annotations: Annotations) -> None:
    """Whether there is something to find, and all is told of it that is needed.

    Raises:
        ValueError: nothing is annotated, or something that cannot be evaluated (``check_instances``).
    """
    if not any(annotations.by_image.get(image_id) for image_id in annotations.image_ids):
        raise ValueError(f"{annotations.path} annotates nothing on these {len(annotations.image_ids)} photos")
    check_instances(annotations, needed=("id", "area", "bbox"))


def cases(records: Sequence[Record], annotations: Annotations) -> list[Case]:
    """Each annotation beside its best proposal; those that none touches are left out."""
    by_id = {truth["id"]: truth for truths in annotations.by_image.values() for truth in truths}

    def draw(best: Mapping[str, Any]) -> Photo:
        truth = by_id[best["annotation_id"]]
        photo = read_photo(annotations.paths[truth["image_id"]])
        answer = decode_rle(best["segmentation"])
        return truth_and_answer(photo, annotations.mask_of(truth), answer, f"IoU {best['iou']:.2f}")

    return [Case(best["iou"], partial(draw, best)) for record in records for best in record["best"]]


if __name__ == "__main__":
    typer.run(main)
