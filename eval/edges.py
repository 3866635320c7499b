"""Zero-shot edge detection on BSDS500: edges of all masks of a grid of points, scored by the boundary benchmark.

    python eval/edges.py --data BSDS --checkpoint default --out runs/edges --workers 2

SAM's procedure (Kirillov et al., arXiv 2304.02643, section 7.2 and appendix D.2), on which the published rows stand:

1. a grid of 16 x 16 points, three masks each, 768 in all; none is dropped for its predicted IoU or stability;
2. non-maximum suppression by box, IoU 0.7, the better rated mask stays;
3. Sobel's filter on each mask's unthresholded probabilities; only what lies on the outer boundary pixels of the mask
   counts, and nothing on the border of the photo, where masks are cut off, not bounded;
4. the largest value at each pixel, scaled linearly to 0..1;
5. edge non-maximum suppression, thresholds, thinning, matching: eval/edge_benchmark.py.

``--data`` holds ``images/*.jpg`` and ``groundTruth/*.mat``; ``--images`` and ``--truth`` name them elsewhere (BSDS500's
own are in folders named test).

OUT/edges keeps the maps of step 4 as 16-bit PNG: ``edge_benchmark.py --edges OUT/edges --nms`` scores them again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from torchvision.ops import nms

from repvit_sam.console import report_errors
from repvit_sam.embedding import as_numpy
from repvit_sam.eval.datasets.bsds import AnnotatedPhoto, annotated_photos, read_boundaries
from repvit_sam.eval.datasets.edge_maps import read_edge_map
from repvit_sam.eval.edge_benchmark import count_edges, counts_of
from repvit_sam.eval.metrics.edge_thinning import suppress_non_maxima
from repvit_sam.eval.metrics.edges import THRESHOLDS, EdgeCounts, score
from repvit_sam.eval.runner.evaluated_model import EvaluatedModel
from repvit_sam.eval.runner.options import Checkpoint, Device, EngineName, Limit, Out, SaveFigures, Workers
from repvit_sam.eval.runner.pictures import Case, captioned, save_figures
from repvit_sam.eval.runner.records import Record
from repvit_sam.eval.runner.results import Results, keep, show
from repvit_sam.eval.runner.run import run
from repvit_sam.files import atomic_write
from repvit_sam.mask_generator import point_grid
from repvit_sam.masks import Mask, logits_in_parts, mask_box_xyxy
from repvit_sam.photo import Photo, read_photo
from repvit_sam.predictor import SamPredictor

POINTS_PER_SIDE = 16
BOX_NMS_THRESH = 0.7

SoftEdges = NDArray[np.float32]  # (H, W), 0 no edge ... 1 the surest of the photo


@dataclass(frozen=True, eq=False)
class EdgesJob:
    """The edge map of each photo, into ``folder``, and its counts against what people drew."""

    subject: EvaluatedModel
    photos: tuple[AnnotatedPhoto, ...]
    folder: Path
    points_per_side: int = POINTS_PER_SIDE

    @property
    def keys(self) -> Sequence[str]:
        return [photo.name for photo in self.photos]

    def start(self) -> Callable[[str], Record]:
        return partial(self._evaluate, self.subject.predictor(), {photo.name: photo for photo in self.photos})

    def _evaluate(self, predictor: SamPredictor, photos: dict[str, AnnotatedPhoto], name: str) -> Record:
        one = photos[name]
        assert one.photo
        path = map_path(self.folder, name)
        write_edges(path, mask_edges(predictor, read_photo(one.photo), self.points_per_side))
        # what is kept is what is scored, so that scoring the files again gives the same figures
        thin = suppress_non_maxima(read_edge_map(path))
        return vars(count_edges(thin, read_boundaries(one.truth), THRESHOLDS))


def mask_edges(predictor: SamPredictor, photo: Photo, points_per_side: int = POINTS_PER_SIDE) -> SoftEdges:
    """Steps 1 to 4 above."""
    predictor.set_image(photo)
    height, width = photo.shape[:2]
    points = (point_grid(points_per_side) * (width, height))[:, None]
    masks, ious, low_res_logits = predictor.predict(points, np.ones((len(points), 1), dtype=int), batched=True)
    chosen = distinct(masks.reshape(-1, height, width), ious.ravel())
    edges = np.zeros((height, width), dtype=np.float32)
    kept = torch.from_numpy(low_res_logits.reshape(-1, *low_res_logits.shape[2:])[chosen])
    for part in logits_in_parts(kept, predictor.encoded.fit):
        for probabilities in as_numpy(part.sigmoid()):
            np.maximum(edges, boundary_slope(probabilities), out=edges)
    return edges / max(float(edges.max()), np.finfo(np.float32).tiny)


def distinct(masks: NDArray[np.bool_], ious: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices of masks (N, H, W) that are not empty and whose box no better rated one's overlaps above 0.7."""
    there = np.flatnonzero(masks.any(axis=(1, 2)))
    boxes = torch.tensor([mask_box_xyxy(mask) for mask in masks[there]], dtype=torch.float).reshape(-1, 4)
    kept = nms(boxes, torch.from_numpy(ious[there]).float(), BOX_NMS_THRESH)
    return there[kept.numpy()]


def boundary_slope(probabilities: NDArray[np.float32]) -> SoftEdges:
    """(H, W) probabilities of a mask -> Sobel's slope on the pixels that surround the mask, 0 elsewhere."""
    slope = np.hypot(*(cv2.Sobel(probabilities, cv2.CV_32F, *order) for order in ((1, 0), (0, 1))))
    return np.where(outer_boundary(probabilities > 0.5), slope, 0).astype(np.float32)


def outer_boundary(mask: Mask) -> Mask:
    """Pixels beside the mask (diagonally too), none on the border of the photo."""
    inside = mask.astype(np.uint8)
    around = cv2.dilate(inside, np.ones((3, 3), np.uint8)) > inside
    around[[0, -1]] = False
    around[:, [0, -1]] = False
    return around


def map_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.png"


def write_edges(path: Path, edges: SoftEdges) -> None:
    """As 16-bit greyscale PNG."""
    with atomic_write(path) as beside:
        Image.fromarray(np.round(edges * 65535).astype(np.uint16)).save(beside, format="PNG")


def draw(one: AnnotatedPhoto, folder: Path, f_measure: float) -> Photo:
    """Photo, edges and what people drew, beside each other."""
    assert one.photo
    photo = read_photo(one.photo)
    edges = 255 * (1 - suppress_non_maxima(read_edge_map(map_path(folder, one.name))))
    people = 255 * (1 - np.mean(read_boundaries(one.truth), axis=0))
    pictures = [photo, *(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8) for grey in (edges, people))]
    upright = [np.rot90(picture) if picture.shape[0] > picture.shape[1] else picture for picture in pictures]
    return captioned(np.hstack(upright), f"{one.name}: F {f_measure:.2f}")


def best_f(counts: EdgeCounts) -> float:
    return score([counts], THRESHOLDS).ods


def choose(photos: Sequence[AnnotatedPhoto], sample: int | None, seed: int) -> tuple[AnnotatedPhoto, ...]:
    """All photos, or ``sample`` of them by chance, in their order.

    Raises:
        ValueError: more are asked for than there are.
    """
    if sample is None:
        return tuple(photos)
    if not 1 <= sample <= len(photos):
        raise ValueError(f"--sample must be from 1 to {len(photos)}, the number of photos, got {sample}")
    return tuple(photos[index] for index in sorted(random.Random(seed).sample(range(len(photos)), sample)))


def main(
    data: Annotated[Path | None, typer.Option(help="BSDS folder: images/*.jpg and groundTruth/*.mat")] = None,
    images: Annotated[Path | None, typer.Option(help="the photos, if not in DATA/images")] = None,
    truth: Annotated[Path | None, typer.Option(help="the .mat files, if not in DATA/groundTruth")] = None,
    sample: Annotated[int | None, typer.Option(help="only N photos by chance: a subset, and called one")] = None,
    seed: Annotated[int, typer.Option(help="of that chance")] = 0,
    points_per_side: Annotated[
        int, typer.Option(min=1, help="of the grid; the published rows have 16")
    ] = POINTS_PER_SIDE,
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Limit = None,
    figures: SaveFigures = False,
) -> None:
    """ODS, OIS, AP and R50 of a checkpoint's edges."""
    with report_errors():
        if out is None:
            raise ValueError("edge maps are kept in the folder of --out: give one")
        if limit and sample:
            raise ValueError("--limit takes the first photos, --sample some by chance: give one of them")
        if data is None and (images is None or truth is None):
            raise ValueError("give --data DIR, a BSDS folder, or --images DIR and --truth DIR")
        subject = EvaluatedModel(checkpoint, engine, device)
        photos = choose(annotated_photos(data, images, truth, limit), sample, seed)
        job = EdgesJob(subject, photos, out / "edges", points_per_side)
        settings = {
            "program": "eval/edges.py",
            "folders": [str(folder.resolve()) if folder else None for folder in (data, images, truth)],
            "points_per_side": points_per_side,
            "checkpoint": subject.sha256,
            "engine": engine,
        }
        done = run(job, out, settings, workers)
        if not done:  # under torchrun the first rank tells
            return
        counts = [counts_of(record) for record in done]
        scores = score(counts, THRESHOLDS)
        protocol: dict[str, Any] = {
            "name": "SAM's",
            "points_per_side": points_per_side,
            "box_nms_thresh": BOX_NMS_THRESH,
            "sample": f"{sample} by chance, seed {seed}" if sample else None,
        }
        if sample:
            protocol["name"] = f"SAM's, A SUBSET of {sample} photos by chance, seed {seed}"
        results = Results(
            program="eval/edges.py",
            subject=subject,
            protocol=protocol,
            data={"folder": str(data or images), "photos": len(photos), "names": list(job.keys)},
            figures=scores.figures,
            seconds=sum(record["seconds"] for record in done),
            limit=limit,
            workers=workers,
        )
        show(results)
        keep(results, out)
        if figures:
            best = [best_f(one) for one in counts]
            cases = [Case(f, partial(draw, photo, job.folder, f)) for f, photo in zip(best, photos, strict=True)]
            save_figures(out / "figures", cases, each=4)


if __name__ == "__main__":
    typer.run(main)
