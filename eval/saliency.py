"""Zero-shot salient objects on DUTS-TE, ECSSD or any folders of photos and masks: MAE, max F-measure, S-measure.

    python eval/saliency.py --images DUTS-TE/DUTS-TE-Image --masks DUTS-TE/DUTS-TE-Mask --protocol sam-not-perfect \\
        --checkpoint default --out runs/duts

SAM does not know what is salient, so a rule has to choose the mask; each of these looks at the truth:

* ``everything-oracle``: of all masks of everything mode the one of best IoU with the truth, as Ji et al. choose for SAM
  without prompts (SAM Struggles in Concealed Scenes, arXiv 2304.06022). AN UPPER BOUND: without the truth nobody has
  that choice. Where no mask overlaps the truth, nothing is salient.
* ``sam-not-perfect``: the same, but where no mask overlaps the truth the photo's MAE is 1, as in the code of Ji et al.,
  Segment Anything Is Not Always Perfect (arXiv 2304.05750, github.com/LiuTingWed/SAM-Not-Perfect), which measures SAM's
  MAE on DUTS: best Dice, which is best IoU. An upper bound as well.
* ``box``: the tight box of all that is salient, one mask.
* ``point``: the centre of the pixel deepest inside it, three masks, the one of best predicted IoU.

``box`` and ``point`` are measured on probabilities, the sigmoid of the logits at photo size; everything mode gives
binary masks. Salient is what is brighter than 128 of 255, as in the field's toolboxes.
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
from repvit_sam.eval.datasets.saliency import SaliencyPair, find_pairs, read_mask
from repvit_sam.eval.metrics.iou import iou
from repvit_sam.eval.metrics.saliency import f_measures, max_f_measure, mean_absolute_error, s_measure
from repvit_sam.eval.prompting.everything import Everything, PointsPerSide, PredIouThresh, StabilityScoreThresh
from repvit_sam.eval.prompting.saliency import (
    EVERYTHING_PROTOCOLS,
    SALIENCY_PROTOCOLS,
    SaliencyMethod,
    saliency_method,
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
from repvit_sam.jobs.chosen_model import ChosenModel
from repvit_sam.jobs.records import Record
from repvit_sam.masks import Mask
from repvit_sam.photo import Photo, read_photo
from repvit_sam.rle import decode_rle, encode_rle


@dataclass(frozen=True)
class SaliencyConfig(EvaluationConfig):
    """Attributes:
    protocol, everything: as ``find_protocol`` checked them.
    """

    program = "eval/saliency.py"

    images: Path
    masks: Path
    protocol: str
    everything: Everything

    @property
    def grid(self) -> dict[str, Any]:
        """Everything mode's settings, if the protocol uses it."""
        return asdict(self.everything) if self.protocol in EVERYTHING_PROTOCOLS else {}

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "images": str(self.images.resolve()),
            "masks": str(self.masks.resolve()),
            "protocol": self.protocol,
            "everything": self.grid,
            **self.run.model.settings,
        }


@dataclass(frozen=True)
class SaliencyJob:
    """The saliency map of a photo and its scores.

    Attributes:
        pairs: by stem.
        everything: for the protocols that use it.
    """

    model: ChosenModel
    protocol: str
    pairs: Mapping[str, SaliencyPair]
    everything: Everything

    @property
    def keys(self) -> Sequence[str]:
        return list(self.pairs)

    def start(self) -> Callable[[str], Record]:
        return partial(self._evaluate, saliency_method(self.model.predictor(), self.protocol, self.everything))

    def _evaluate(self, method: SaliencyMethod, stem: str) -> Record:
        pair = self.pairs[stem]
        return evaluate_photo(method, read_photo(pair.photo), read_mask(pair.mask))


def find_protocol(name: str, **choices: float | None) -> Everything:
    """Everything mode's settings for the protocol: its defaults, with the choices that are not None instead.

    Raises:
        ValueError: unknown name, or choices for a protocol that does not use everything mode.
    """
    if name not in SALIENCY_PROTOCOLS:
        raise ValueError(f"--protocol must be one of {', '.join(SALIENCY_PROTOCOLS)}, got {name!r}")
    if name not in EVERYTHING_PROTOCOLS and any(choice is not None for choice in choices.values()):
        raise ValueError(
            f"--points-per-side and thresholds belong to everything mode, which --protocol {name} does not use"
        )
    return Everything().changed(**choices)


def evaluate_photo(method: SaliencyMethod, photo: Photo, truth: Mask) -> Record:
    """Scores of one photo: mae, s, iou (of what is above 0.5), f (at 255 thresholds); and that mask as ``answer``."""
    saliency, masks = method(photo, truth)
    binary: Mask = saliency > 0.5
    return {
        "mae": mean_absolute_error(saliency, truth),
        "s": s_measure(saliency, truth),
        "iou": iou(truth, binary),
        "f": f_measures(saliency, truth).round(6).tolist(),
        "masks": masks,
        "answer": encode_rle(binary),
    }


def summarise(config: SaliencyConfig, pairs: Mapping[str, SaliencyPair], records: Mapping[str, Record]) -> Summary:
    every, name, grid = list(records.values()), config.protocol, config.grid
    return Summary(
        protocol={"name": f"{name}, an upper bound" if grid else name, **grid},
        data={
            "images": str(config.images),
            "masks": str(config.masks),
            "photos": len(every),
            "photos_without_any_mask": len([record for record in every if record["masks"] == 0]),
            "photos_where_nothing_is_found": len([record for record in every if record["iou"] == 0]),
        },
        metrics=mean_scores(every),
        examples=lambda: [_example(pairs[stem], record) for stem, record in records.items()],
    )


def mean_scores(records: Sequence[Record]) -> dict[str, float]:
    """Means over photos; max F-measure at the one threshold that is best for all of them together."""
    return {
        "MAE": float(np.mean([record["mae"] for record in records])),
        "max F": max_f_measure([record["f"] for record in records]),
        "S-measure": float(np.mean([record["s"] for record in records])),
        "mean IoU": float(np.mean([record["iou"] for record in records])),
    }


def _example(pair: SaliencyPair, record: Record) -> Example:
    def draw() -> Photo:
        caption = f"{pair.photo.stem}: MAE {record['mae']:.3f}"
        return draw_masks(read_photo(pair.photo), read_mask(pair.mask), decode_rle(record["answer"]), caption)

    return Example(-record["mae"], draw)


def main(
    images: Annotated[Path, typer.Option(help="folder of the photos")],
    masks: Annotated[Path, typer.Option(help="folder of the greyscale masks, of the same stems")],
    protocol: Annotated[str, typer.Option(help=", ".join(SALIENCY_PROTOCOLS))],
    points_per_side: PointsPerSide = None,
    pred_iou_thresh: PredIouThresh = None,
    stability_score_thresh: StabilityScoreThresh = None,
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Limit = None,
    figures: SavePictures = False,
) -> None:
    """MAE, max F-measure and S-measure of salient objects."""
    with report_errors():
        everything = find_protocol(
            protocol,
            points_per_side=points_per_side,
            pred_iou_thresh=pred_iou_thresh,
            stability_score_thresh=stability_score_thresh,
        )
        run = RunConfig(ChosenModel(checkpoint, engine, device, precision), out, workers, limit, figures)
        config = SaliencyConfig(run, images, masks, protocol, everything)
        with spinner("checking the masks"):
            pairs = find_pairs(images, masks, limit)
        evaluate(SaliencyJob(run.model, protocol, pairs, everything), config, partial(summarise, config, pairs))


if __name__ == "__main__":
    typer.run(main)
