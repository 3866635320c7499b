"""The BSDS500 boundary benchmark for any edge maps: ODS, OIS, AP, R50.

    python eval/edge_benchmark.py --edges DIR --truth DIR --workers 2
    python eval/edge_benchmark.py --data DIR --detector canny        # or sobel, human

Edges are greyscale PNG files of 8 or 16 bits, or ``.npy`` files with values from 0 to 1, named and sized as the photos.
At each of 99 thresholds (0.01 ... 0.99) the map is cut (``>=``), thinned, and matched with what each person drew; see
eval/metrics/boundary_matching.py and eval/metrics/edges.py. ``--nms`` suppresses non-maxima first, for soft maps.

``human`` is the consistency of people: each in turn is compared with the others of the same photo, and the counts of
all are summed (``boundaryBenchHuman`` of the Berkeley benchmark). It is a point, not a curve.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from repvit_sam.console import report_errors, spinner
from repvit_sam.eval.baselines.edge_detectors import DETECTORS
from repvit_sam.eval.datasets.bsds import AnnotatedPhoto, annotated_photos, read_boundaries
from repvit_sam.eval.datasets.edge_maps import edge_map_hw, find_edge_maps, read_edge_map
from repvit_sam.eval.metrics.boundary_matching import MAX_DISTANCE, OUTLIER_COST
from repvit_sam.eval.metrics.edge_counts import count_edges, count_human, counts_from_record
from repvit_sam.eval.metrics.edge_thinning import suppress_non_maxima
from repvit_sam.eval.metrics.edges import THRESHOLDS, EdgeCounts, EdgeScores, score
from repvit_sam.eval.runner.options import Limit, Workers
from repvit_sam.eval.runner.results import hardware, markdown, versions
from repvit_sam.files import atomic_write
from repvit_sam.jobs.records import Record
from repvit_sam.jobs.run import run_job
from repvit_sam.photo import read_photo

HUMAN = "human"


@dataclass(frozen=True)
class EdgeJob:
    """The counts of every photo: of a detector by name, or of edge maps in files.

    Attributes:
        photos: with ``photo`` for a detector other than ``human``.
        detector: "human", or a name of DETECTORS.
        maps: name of the photo -> its edge map; instead of a detector.
        nms: suppress non-maxima of the maps first.
    """

    photos: tuple[AnnotatedPhoto, ...]
    detector: str | None = None
    maps: Mapping[str, Path] | None = None
    nms: bool = False
    max_distance: float = MAX_DISTANCE

    @property
    def keys(self) -> Sequence[str]:
        return [photo.name for photo in self.photos]

    @property
    def thresholds(self) -> Sequence[float]:
        return (1.0,) if self.detector == HUMAN else THRESHOLDS

    def start(self) -> Callable[[str], Record]:
        photos = {photo.name: photo for photo in self.photos}
        return lambda name: asdict(self.count(photos[name]))

    def count(self, photo: AnnotatedPhoto) -> EdgeCounts:
        truths = read_boundaries(photo.truth)
        if self.detector == HUMAN:
            return count_human(truths, self.max_distance)
        return count_edges(self._edges(photo), truths, self.thresholds, self.max_distance)

    def _edges(self, photo: AnnotatedPhoto) -> NDArray[np.floating]:
        if self.maps is None:
            assert self.detector
            assert photo.photo
            return DETECTORS[self.detector](read_photo(photo.photo))
        edges = read_edge_map(self.maps[photo.name])
        return suppress_non_maxima(edges) if self.nms else edges


def benchmark(job: EdgeJob, workers: int = 1) -> tuple[EdgeScores, dict[str, Record]]:
    """The scores, and each photo's counts (and ``seconds``) by name in the order of ``job.photos``."""
    records = run_job(job, None, {}, workers)
    return score([counts_from_record(record) for record in records.values()], job.thresholds), records


def check_sizes(photos: Sequence[AnnotatedPhoto], maps: Mapping[str, Path]) -> None:
    """Check that every map has the size of its true boundaries.

    Raises:
        ValueError: the first that has not.
    """
    for photo in photos:
        expected, given = read_boundaries(photo.truth)[0].shape, edge_map_hw(maps[photo.name])
        if given != expected:
            raise ValueError(f"{maps[photo.name]} has the size (H, W) = {given}, its true boundaries have {expected}")


def main(
    data: Annotated[Path | None, typer.Option(help="BSDS folder: images/*.jpg and groundTruth/*.mat")] = None,
    edges: Annotated[Path | None, typer.Option(help="folder of edge maps, NAME.png or NAME.npy")] = None,
    detector: Annotated[str | None, typer.Option(help=f"instead of --edges: {HUMAN}, {', '.join(DETECTORS)}")] = None,
    truth: Annotated[Path | None, typer.Option(help="the .mat files, if not in DATA/groundTruth")] = None,
    images: Annotated[Path | None, typer.Option(help="the photos, if not in DATA/images")] = None,
    nms: Annotated[bool, typer.Option("--nms", help="suppress non-maxima of --edges first")] = False,
    max_distance: Annotated[float, typer.Option(help="how far apart pixels may match, of the diagonal")] = MAX_DISTANCE,
    workers: Workers = 1,
    limit: Limit = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write scores, curve and settings here")] = None,
) -> None:
    """Score edge maps, or a detector, with the BSDS500 boundary benchmark."""
    with report_errors():
        with spinner("reading"):
            job = _job(data, edges, detector, truth, images, nms, max_distance, limit)
        scores, records = benchmark(job, workers)
        name = detector or str(edges)
        subset = f"A SUBSET: the first {limit}, " if limit else ""
        typer.echo(f"edges of {name}: {subset}{len(records)} photos\n")
        typer.echo(markdown({name: scores.figures}))
        typer.echo(f"\nbest threshold {scores.ods_threshold:.2f}: ", nl=False)
        typer.echo(f"recall {scores.ods_recall:.3f}, precision {scores.ods_precision:.3f}")
        if json_file:
            about = {"edges": name, "nms": nms, "data": str(data or truth), "photos": len(records)}
            about["subset"] = f"the first {limit} photos" if limit else None
            with atomic_write(json_file) as beside:
                beside.write_text(json.dumps(_report(about, job, scores, records, workers)) + "\n", encoding="utf-8")
            typer.echo(f"written: {json_file}", err=True)


def _report(
    about: Mapping[str, Any], job: EdgeJob, scores: EdgeScores, records: Mapping[str, Record], workers: int
) -> dict[str, Any]:
    return {
        **about,
        "protocol": {"max_distance": job.max_distance, "outlier_cost": OUTLIER_COST, "thin": True},
        **asdict(scores),
        "seconds": round(sum(record["seconds"] for record in records.values()), 1),
        "workers": workers,
        "hardware": hardware(torch.device("cpu")),
        "versions": versions(),
        "counts": records,
    }


def _job(
    data: Path | None,
    edges: Path | None,
    detector: str | None,
    truth: Path | None,
    images: Path | None,
    nms: bool,
    max_distance: float,
    limit: int | None,
) -> EdgeJob:
    if (edges is None) == (detector is None):
        raise ValueError("give either --edges DIR or --detector NAME")
    if data is None and truth is None:
        raise ValueError("give the true boundaries: --truth DIR with .mat files, or --data DIR, a BSDS folder")
    if not 0 < max_distance < 1:
        raise ValueError(f"--max-distance is a share of the diagonal, above 0 and below 1, got {max_distance:g}")
    only_truth = truth or (data / "groundTruth" if data else None)
    if edges:
        photos = annotated_photos(None, None, only_truth, limit)
        maps = find_edge_maps(edges, [photo.name for photo in photos])
        check_sizes(photos, maps)
        return EdgeJob(photos, maps=maps, nms=nms, max_distance=max_distance)
    if nms:
        raise ValueError("--nms is for --edges; detectors give thin edges already")
    if detector == HUMAN:
        return EdgeJob(annotated_photos(None, None, only_truth, limit), HUMAN, max_distance=max_distance)
    if detector not in DETECTORS:
        raise ValueError(f"--detector must be one of {HUMAN}, {', '.join(DETECTORS)}, got {detector!r}")
    if data is None and images is None:
        raise ValueError(f"--detector {detector} needs the photos: --data DIR, or --images DIR")
    return EdgeJob(annotated_photos(data, images, truth, limit), detector, max_distance=max_distance)


if __name__ == "__main__":
    typer.run(main)
