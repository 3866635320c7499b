"""Zero-shot edge detection on BSDS500: edges of all masks of a grid of points, scored by the boundary benchmark.

    python eval/edges.py --data BSDS --checkpoint default --out runs/edges --workers 2

SAM's procedure (Kirillov et al., arXiv 2304.02643, section 7.2 and appendix D.2), on which the published rows stand:

1. a grid of 16 x 16 points, three masks each, 768 in all; none is dropped for its predicted IoU or stability;
2. non-maximum suppression by box at IoU 0.7: the mask of higher predicted IoU remains;
3. Sobel's filter on each mask's unthresholded probabilities; only the outer boundary pixels of the mask count, and none
   on the border of the photo, where masks are cut off, not bounded;
4. the largest value at each pixel, scaled linearly to 0..1;
5. edge non-maximum suppression, thresholds, thinning, matching: eval/edge_benchmark.py.

``--data`` holds ``images/*.jpg`` and ``groundTruth/*.mat``; ``--images`` and ``--truth`` name them elsewhere (BSDS500's
own are in folders named test).

OUT/edges keeps the maps of step 4 as 16-bit PNG: ``edge_benchmark.py --edges OUT/edges --nms`` scores them again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from repvit_sam.console import report_errors
from repvit_sam.eval.datasets.bsds import AnnotatedPhoto, annotated_photos, read_boundaries
from repvit_sam.eval.datasets.edge_maps import read_edge_map
from repvit_sam.eval.metrics.edge_counts import count_edges, counts_from_record
from repvit_sam.eval.metrics.edge_thinning import suppress_non_maxima
from repvit_sam.eval.metrics.edges import THRESHOLDS, score
from repvit_sam.eval.prompting.mask_edges import BOX_NMS_THRESH, POINTS_PER_SIDE, SoftEdges, mask_edges
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
from repvit_sam.eval.runner.pictures import Example, add_caption
from repvit_sam.eval.runner.results import Summary
from repvit_sam.files import atomic_write
from repvit_sam.jobs.chosen_model import ChosenModel
from repvit_sam.jobs.records import Record
from repvit_sam.photo import Photo, read_photo
from repvit_sam.predictor import SamPredictor


@dataclass(frozen=True)
class EdgesConfig(EvaluationConfig):
    """Attributes:
    data: a BSDS folder; or ``images`` and ``truth``.
    sample: only so many photos, chosen at random by ``seed``.
    """

    program = "eval/edges.py"

    data: Path | None
    images: Path | None
    truth: Path | None
    sample: int | None
    seed: int
    points_per_side: int

    def __post_init__(self) -> None:
        if self.run.out is None:
            raise ValueError("edge maps are written into OUT/edges: give --out DIR")
        if self.run.limit and self.sample:
            raise ValueError("--limit takes the first photos, --sample random ones: give one of them")
        if self.data is None and (self.images is None or self.truth is None):
            raise ValueError("give --data DIR, a BSDS folder, or --images DIR and --truth DIR")

    @property
    def edge_folder(self) -> Path:
        assert self.run.out
        return self.run.out / "edges"

    @property
    def settings(self) -> dict[str, Any]:
        folders = (self.data, self.images, self.truth)
        return {
            "program": self.program,
            "folders": [str(folder.resolve()) if folder else None for folder in folders],
            "points_per_side": self.points_per_side,
            **self.run.model.settings,
        }


@dataclass(frozen=True, eq=False)
class EdgesJob:
    """The edge map of a photo, written into ``folder``, and its counts against what people drew.

    Attributes:
        photos: by name, each with ``photo``.
    """

    model: ChosenModel
    photos: Mapping[str, AnnotatedPhoto]
    folder: Path
    points_per_side: int = POINTS_PER_SIDE

    @property
    def keys(self) -> Sequence[str]:
        return list(self.photos)

    def start(self) -> Callable[[str], Record]:
        return partial(self._evaluate, self.model.predictor())

    def _evaluate(self, predictor: SamPredictor, name: str) -> Record:
        one = self.photos[name]
        assert one.photo
        path = map_path(self.folder, name)
        write_edges(path, mask_edges(predictor, read_photo(one.photo), self.points_per_side))
        # the file is scored, not the array, so that scoring the file again gives the same numbers
        thin = suppress_non_maxima(read_edge_map(path))
        return vars(count_edges(thin, read_boundaries(one.truth), THRESHOLDS))


def map_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.png"


def write_edges(path: Path, edges: SoftEdges) -> None:
    """As 16-bit greyscale PNG."""
    with atomic_write(path) as beside:
        Image.fromarray(np.round(edges * 65535).astype(np.uint16)).save(beside, format="PNG")


def choose(photos: Sequence[AnnotatedPhoto], sample: int | None, seed: int) -> tuple[AnnotatedPhoto, ...]:
    """All photos, or ``sample`` of them at random, in their order.

    Raises:
        ValueError: the sample is larger than the number of photos.
    """
    if sample is None:
        return tuple(photos)
    if not 1 <= sample <= len(photos):
        raise ValueError(f"--sample must be from 1 to {len(photos)}, the number of photos, got {sample}")
    return tuple(photos[index] for index in sorted(random.Random(seed).sample(range(len(photos)), sample)))


def summarise(config: EdgesConfig, photos: Mapping[str, AnnotatedPhoto], records: Mapping[str, Record]) -> Summary:
    counts = [counts_from_record(record) for record in records.values()]
    sample = f"{config.sample} by chance, seed {config.seed}" if config.sample else None

    def examples() -> list[Example]:
        scores = [score([one], THRESHOLDS).ods for one in counts]  # the best F of each photo
        return [
            Example(best, partial(draw, photo, config.edge_folder, best))
            for best, photo in zip(scores, photos.values(), strict=True)
        ]

    return Summary(
        protocol={
            "name": f"SAM's, A SUBSET of {config.sample} photos by chance, seed {config.seed}" if sample else "SAM's",
            "points_per_side": config.points_per_side,
            "box_nms_thresh": BOX_NMS_THRESH,
            "sample": sample,
        },
        data={"folder": str(config.data or config.images), "photos": len(photos), "names": list(photos)},
        metrics=score(counts, THRESHOLDS).figures,
        examples=examples,
        examples_per_sheet=4,
    )


def draw(one: AnnotatedPhoto, folder: Path, f_measure: float) -> Photo:
    """Photo, edges, and what people drew, side by side."""
    assert one.photo
    photo = read_photo(one.photo)
    edges = 255 * (1 - suppress_non_maxima(read_edge_map(map_path(folder, one.name))))
    people = 255 * (1 - np.mean(read_boundaries(one.truth), axis=0))
    pictures = [photo, *(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8) for grey in (edges, people))]
    upright = [np.rot90(picture) if picture.shape[0] > picture.shape[1] else picture for picture in pictures]
    return add_caption(np.hstack(upright), f"{one.name}: F {f_measure:.2f}")


def main(
    data: Annotated[Path | None, typer.Option(help="BSDS folder: images/*.jpg and groundTruth/*.mat")] = None,
    images: Annotated[Path | None, typer.Option(help="the photos, if not in DATA/images")] = None,
    truth: Annotated[Path | None, typer.Option(help="the .mat files, if not in DATA/groundTruth")] = None,
    sample: Annotated[
        int | None, typer.Option(help="only N random photos; the table is then marked as a subset")
    ] = None,
    seed: Annotated[int, typer.Option(help="of --sample")] = 0,
    points_per_side: Annotated[
        int, typer.Option(min=1, help="of the grid; the published rows have 16")
    ] = POINTS_PER_SIDE,
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Limit = None,
    figures: SavePictures = False,
) -> None:
    """ODS, OIS, AP and R50 of a checkpoint's edges."""
    with report_errors():
        run = RunConfig(ChosenModel(checkpoint, engine, device, precision), out, workers, limit, figures)
        config = EdgesConfig(run, data, images, truth, sample, seed, points_per_side)
        chosen = choose(annotated_photos(data, images, truth, limit), sample, seed)
        photos = {photo.name: photo for photo in chosen}
        job = EdgesJob(run.model, photos, config.edge_folder, points_per_side)
        evaluate(job, config, partial(summarise, config, photos))


if __name__ == "__main__":
    typer.run(main)
