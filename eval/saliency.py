"""Zero-shot salient objects on DUTS-TE, ECSSD or any folders of photos and masks: MAE, max F-measure, S-measure.

    python eval/saliency.py --images DUTS-TE/DUTS-TE-Image --masks DUTS-TE/DUTS-TE-Mask --protocol sam-not-perfect \\
        --checkpoint default --out runs/duts

SAM does not know what is salient, so a rule has to say which mask is its answer; each of these looks at the truth:

* ``everything-oracle``: everything mode; of all masks the one of best IoU with the truth, as Ji et al. choose for SAM
  without prompts (SAM Struggles in Concealed Scenes, arXiv 2304.06022). AN UPPER BOUND: without the truth nobody has
  that choice. Where no mask touches the truth the answer is empty.
* ``sam-not-perfect``: the same, but where no mask touches the truth the photo's MAE is 1, as in the code of Ji et al.,
  Segment Anything Is Not Always Perfect (arXiv 2304.05750, github.com/LiuTingWed/SAM-Not-Perfect), which measures SAM's
  MAE on DUTS: best Dice, which is best IoU. An upper bound as well.
* ``box``: the tight box of all that is salient, one mask.
* ``point``: the centre of the pixel deepest inside it, three masks, the one of best predicted IoU.

``box`` and ``point`` are measured on probabilities, the sigmoid of the logits at photo size; everything mode gives
binary masks. Truth is what is brighter than 128 of 255, as in the field's toolboxes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image
from pycocotools import mask as coco_mask

from repvit_sam.console import report_errors, spinner
from repvit_sam.eval.metrics.iou import iou
from repvit_sam.eval.metrics.saliency import Map, f_measures, max_f_measure, mean_absolute_error, s_measure
from repvit_sam.eval.prompting.everything import Everything, PointsPerSide, PredIouThresh, StabilityScoreThresh
from repvit_sam.eval.prompting.ground_truth import box_of, centre_of
from repvit_sam.eval.runner.evaluated_model import EvaluatedModel
from repvit_sam.eval.runner.options import Checkpoint, Device, EngineName, Limit, Out, SaveFigures, Workers
from repvit_sam.eval.runner.pictures import Case, save_figures, truth_and_answer
from repvit_sam.eval.runner.records import Record
from repvit_sam.eval.runner.results import Results, keep, show
from repvit_sam.eval.runner.run import run
from repvit_sam.mask_generator import SamAutomaticMaskGenerator
from repvit_sam.masks import Mask, best_mask
from repvit_sam.photo import Photo, find_photos, photo_size, read_photo
from repvit_sam.predictor import SamPredictor
from repvit_sam.rle import decode_rle, encode_rle

PROTOCOLS = ("everything-oracle", "sam-not-perfect", "box", "point")
EVERYTHING_PROTOCOLS = PROTOCOLS[:2]

_PROGRAM = "eval/saliency.py"
_BRIGHT = 128  # truth is brighter (CODToolbox, pysodmetrics)

Answer = Callable[[Photo, Mask], tuple[Map, int]]  # photo, truth -> how salient each pixel is, of how many masks chosen


@dataclass(frozen=True)
class Pair:
    photo: Path
    mask: Path


@dataclass(frozen=True)
class SaliencyJob:
    """One answer for each photo.

    Attributes:
        pairs: by stem.
        everything: for the protocols that need it.
    """

    subject: EvaluatedModel
    protocol: str
    pairs: Mapping[str, Pair]
    everything: Everything

    @property
    def keys(self) -> Sequence[str]:
        return list(self.pairs)

    def start(self) -> Callable[[str], Record]:
        return partial(self._evaluate, answer_of(self.subject.predictor(), self.protocol, self.everything))

    def _evaluate(self, answer: Answer, key: str) -> Record:
        pair = self.pairs[key]
        return evaluate_photo(answer, read_photo(pair.photo), read_mask(pair.mask))


def answer_of(predictor: SamPredictor, protocol: str, everything: Everything) -> Answer:
    """The rule by which a model answers."""
    if protocol in EVERYTHING_PROTOCOLS:
        return partial(best_of_everything, everything.generator(predictor), protocol == "sam-not-perfect")
    return partial(prompted, predictor, protocol == "box")


def prompted(predictor: SamPredictor, with_box: bool, photo: Photo, truth: Mask) -> tuple[Map, int]:
    """Probabilities, (H, W) float: from the truth's box (one mask), or its deepest point (the best rated of three)."""
    predictor.set_image(photo)
    if with_box:
        logits, ratings, _ = predictor.predict(box=box_of(truth), multimask_output=False, return_logits=True)
    else:
        logits, ratings, _ = predictor.predict([centre_of(truth)], [1], multimask_output=True, return_logits=True)
    return probabilities(logits[best_mask(ratings)]), len(logits)


def best_of_everything(
    generator: SamAutomaticMaskGenerator, misses_are_wrong: bool, photo: Photo, truth: Mask
) -> tuple[Map, int]:
    """The mask that fits the truth best, as (H, W) zeros and ones.

    Args:
        misses_are_wrong: where no mask touches the truth, every pixel is wrong; else nothing is salient.
    """
    masks = [record["segmentation"] for record in generator.generate(photo)]
    ious = coco_mask.iou(masks, [encode_rle(truth)], [0]) if masks else np.zeros((0, 1))
    if ious.max(initial=0) > 0:
        return decode_rle(masks[int(ious.argmax())]).astype(np.float32), len(masks)
    return (~truth if misses_are_wrong else np.zeros_like(truth)).astype(np.float32), len(masks)


def probabilities(logits: Map) -> Map:
    """Their sigmoid, in the form that does not overflow."""
    return 0.5 * (1 + np.tanh(logits / 2))


def evaluate_photo(answer: Answer, photo: Photo, truth: Mask) -> Record:
    """What one answer is worth: mae, s, iou (of the half that is more salient), f (255 thresholds); and the answer."""
    saliency, masks = answer(photo, truth)
    binary: Mask = saliency > 0.5
    return {
        "mae": mean_absolute_error(saliency, truth),
        "s": s_measure(saliency, truth),
        "iou": iou(truth, binary),
        "f": f_measures(saliency, truth).round(6).tolist(),
        "masks": masks,
        "answer": encode_rle(binary),
    }


def summarise(records: Sequence[Record]) -> dict[str, float]:
    """Means over photos; max F-measure at the threshold that is best for all of them together."""
    return {
        "MAE": float(np.mean([record["mae"] for record in records])),
        "max F": max_f_measure([record["f"] for record in records]),
        "S-measure": float(np.mean([record["s"] for record in records])),
        "mean IoU": float(np.mean([record["iou"] for record in records])),
    }


def read_mask(path: Path) -> Mask:
    """A greyscale picture -> (H, W) bool."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L")) > _BRIGHT


def find_pairs(images: Path, masks: Path, limit: int | None = None) -> dict[str, Pair]:
    """Photos and masks of the same stem, by stem in the order of names; the first ``limit``.

    Raises:
        ValueError: a folder or a mask is missing, two files have one stem, a mask is empty or of another size than its
            photo.
    """
    photo_of, mask_of = _by_stem(images, "--images"), _by_stem(masks, "--masks")
    missing = [stem for stem in photo_of if stem not in mask_of]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(photo_of)} photos have no mask of the same stem in {masks}, the first {missing[0]}"
        )
    pairs = {stem: Pair(path, mask_of[stem]) for stem, path in list(photo_of.items())[:limit]}
    for pair in pairs.values():
        _check(pair)
    return pairs


def _by_stem(folder: Path, option: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise ValueError(f"{folder}/ is missing; {option} takes a folder")
    found: dict[str, Path] = {}
    for path in find_photos([str(folder)]):
        if path.stem in found:
            raise ValueError(
                f"{found[path.stem]} and {path.name} have one stem; {option} takes a folder without the other"
            )
        found[path.stem] = path
    return found


def _check(pair: Pair) -> None:
    height, width = photo_size(pair.photo)
    truth = read_mask(pair.mask)
    if truth.shape != (height, width):
        raise ValueError(f"{pair.mask} is {truth.shape[1]}x{truth.shape[0]}, its photo is {width}x{height}")
    if not truth.any():
        raise ValueError(f"{pair.mask} has no pixel brighter than {_BRIGHT}: expected 0 and 255, and some object")


def everything_for(protocol: str, engine: str, **choices: float | None) -> Everything:
    """Everything mode's settings, its defaults where nothing else is chosen.

    Raises:
        ValueError: choices for a protocol that does not use it, or an engine that does not have it.
    """
    if protocol in EVERYTHING_PROTOCOLS:
        if engine != "torch":
            raise ValueError(f"--protocol {protocol} needs everything mode, which runs on --engine torch alone")
    elif any(choice is not None for choice in choices.values()):
        raise ValueError(f"--points-per-side and thresholds belong to everything mode; --protocol {protocol} has none")
    return Everything().changed(**choices)


def main(
    images: Annotated[Path, typer.Option(help="folder of the photos")],
    masks: Annotated[Path, typer.Option(help="folder of the greyscale masks, of the same stems")],
    protocol: Annotated[str, typer.Option(help=", ".join(PROTOCOLS))],
    points_per_side: PointsPerSide = None,
    pred_iou_thresh: PredIouThresh = None,
    stability_score_thresh: StabilityScoreThresh = None,
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Limit = None,
    figures: SaveFigures = False,
) -> None:
    """MAE, max F-measure and S-measure of salient objects."""
    with report_errors():
        if protocol not in PROTOCOLS:
            raise ValueError(f"--protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
        if figures and out is None:
            raise ValueError("--save-figures draws into OUT/figures: give --out")
        everything = everything_for(
            protocol,
            engine,
            points_per_side=points_per_side,
            pred_iou_thresh=pred_iou_thresh,
            stability_score_thresh=stability_score_thresh,
        )
        subject = EvaluatedModel(checkpoint, engine, device)
        with spinner("looking at the masks"):
            pairs = find_pairs(images, masks, limit)
        grid = asdict(everything) if protocol in EVERYTHING_PROTOCOLS else {}
        settings = {
            "program": _PROGRAM,
            "images": str(images.resolve()),
            "masks": str(masks.resolve()),
            "protocol": protocol,
            "everything": grid,
            "checkpoint": subject.sha256,
            "engine": engine,
        }
        records = run(SaliencyJob(subject, protocol, pairs, everything), out, settings, workers)
        if not records:  # under torchrun the first rank tells
            return
        results = Results(
            program=_PROGRAM,
            subject=subject,
            protocol={"name": f"{protocol}, an upper bound" if grid else protocol, **grid},
            data=_data(images, masks, records),
            figures=summarise(records),
            seconds=sum(record["seconds"] for record in records),
            limit=limit,
            workers=workers,
        )
        show(results)
        if out:
            keep(results, out)
        if out and figures:
            save_figures(out / "figures", [_case(*one) for one in zip(pairs.values(), records, strict=True)])


def _data(images: Path, masks: Path, records: Sequence[Record]) -> dict[str, Any]:
    return {
        "images": str(images),
        "masks": str(masks),
        "photos": len(records),
        "photos_without_any_mask": len([record for record in records if record["masks"] == 0]),
        "photos_where_nothing_is_found": len([record for record in records if record["iou"] == 0]),
    }


def _case(pair: Pair, record: Record) -> Case:
    def draw() -> Photo:
        caption = f"{pair.photo.stem}: MAE {record['mae']:.3f}"
        return truth_and_answer(read_photo(pair.photo), read_mask(pair.mask), decode_rle(record["answer"]), caption)

    return Case(-record["mae"], draw)


if __name__ == "__main__":
    typer.run(main)
