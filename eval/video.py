"""Objects followed through a video: DAVIS-2017's J&F of masks that are carried on from frame to frame by box prompts.

    python eval/video.py --data DAVIS --checkpoint default --out runs/davis
    python eval/video.py --data DAVIS --prompt box --save-masks --save-figures --out runs/davis-box

* The first mask of each object is given, as in DAVIS-2017's semi-supervised task; then eval/propagation.py takes over.
* J, F and J&F as DAVIS's own program has them (eval/video_metrics.py); the first and the last frame are not scored.
* ``--save-masks`` writes indexed PNGs into OUT/masks/SEQUENCE/, DAVIS's layout for submissions: its program reads them.
* A kill loses the sequences that are being worked on (a hundred frames each at most), and no other.

NOT comparable with the DAVIS figures published for SAM-H (77.4), RepViT-SAM (73.5), SAM-B (71.3) and MobileSAM (71.1):
these are made, as far as is known, with SAM-PT's point tracking. Compare checkpoints by this program with each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import numpy as np
import typer

from repvit_sam.console import report_errors, spinner
from repvit_sam.eval.datasets.davis import VideoSequence, labels_of, read_davis, write_labels
from repvit_sam.eval.metrics.video import Statistics, boundary_f_measure, region_similarity, statistics, summarise
from repvit_sam.eval.prompting.propagation import Masks, Prompt, Propagation, propagate
from repvit_sam.eval.runner.evaluated_model import EvaluatedModel
from repvit_sam.eval.runner.options import Checkpoint, Device, EngineName, Out, SaveFigures, Workers
from repvit_sam.eval.runner.pictures import Case, save_figures, truth_and_answer
from repvit_sam.eval.runner.records import Record
from repvit_sam.eval.runner.results import Results, keep, show
from repvit_sam.eval.runner.run import run
from repvit_sam.files import atomic_write
from repvit_sam.photo import Photo, read_photo
from repvit_sam.predictor import SamPredictor
from repvit_sam.rle import decode_rle, encode_rle

PROTOCOL = "mask-to-box propagation"


@dataclass(frozen=True)
class VideoJob:
    """The masks of every sequence, and their scores."""

    subject: EvaluatedModel
    propagation: Propagation
    sequences: Mapping[str, VideoSequence]

    @property
    def keys(self) -> Sequence[str]:
        return list(self.sequences)

    def start(self) -> Callable[[str], Record]:
        return partial(self._evaluate, self.subject.predictor())

    def _evaluate(self, predictor: SamPredictor, name: str) -> Record:
        return evaluate_sequence(predictor, self.sequences[name], self.propagation)


def evaluate_sequence(predictor: SamPredictor, sequence: VideoSequence, propagation: Propagation) -> Record:
    """What is found of each object: ``{"objects": [{"id", "J": [...], "F": [...], "masks": [RLE, ...]}, ...]}``.

    Scores are of the frames between the first and the last, masks of all after the first.
    """
    frames = (read_photo(path) for path in sequence.frames[1:])
    objects: list[dict[str, Any]] = [{"id": number, "J": [], "F": [], "masks": []} for number in sequence.object_ids]
    last = len(sequence.frames) - 1
    for index, masks in enumerate(propagate(predictor, frames, sequence.masks(0), propagation), 1):
        for found, mask, truth in zip(objects, masks, sequence.masks(index), strict=True):
            found["masks"].append(encode_rle(mask))
            if index != last:
                found["J"].append(region_similarity(truth, mask))
                found["F"].append(boundary_f_measure(truth, mask))
    return {"objects": objects}


def statistics_of(records: Mapping[str, Record]) -> dict[str, tuple[Statistics, Statistics]]:
    """(J, F) of each object, by "SEQUENCE 1", "SEQUENCE 2" ..."""
    return {
        f"{name} {found['id']}": (statistics(found["J"]), statistics(found["F"]))
        for name, record in records.items()
        for found in record["objects"]
    }


def save_masks(folder: Path, records: Mapping[str, Record], sequences: Mapping[str, VideoSequence]) -> None:
    """``folder/SEQUENCE/00000.png``: the given first mask, and all that followed."""
    for name, record in records.items():
        sequence = sequences[name]
        for index, path in enumerate(sequence.annotations):
            masks = _masks_at(record, index) if index else sequence.masks(0)
            write_labels(folder / name / path.name, labels_of(masks, sequence.object_ids), like=sequence.annotations[0])


def cases(record: Record, sequence: VideoSequence) -> list[Case]:
    """Each object at the frame that is nearest to its mean."""
    found = []
    for place, scored in enumerate(record["objects"]):
        both = (np.array(scored["J"]) + np.array(scored["F"])) / 2
        index = int(np.abs(both - both.mean()).argmin()) + 1  # of the frame; the first is not scored
        caption = f"J&F {both[index - 1]:.2f} {sequence.name} {scored['id']} #{index}"
        found.append(Case(float(both.mean()), partial(_draw, record, sequence, place, index, caption)))
    return found


def _masks_at(record: Record, index: int) -> Masks:
    return np.stack([decode_rle(found["masks"][index - 1]) for found in record["objects"]])


def _draw(record: Record, sequence: VideoSequence, place: int, index: int, caption: str) -> Photo:
    photo = read_photo(sequence.frames[index])
    return truth_and_answer(photo, sequence.masks(index)[place], _masks_at(record, index)[place], caption)


def main(
    data: Annotated[Path, typer.Option(help="the folder DAVIS: JPEGImages, Annotations, ImageSets")],
    subset: Annotated[str, typer.Option(help="a list in ImageSets/2017: val, train")] = "val",
    resolution: Annotated[str, typer.Option(help="480p, or the name of another folder")] = "480p",
    prompt: Annotated[str, typer.Option(help=f"carried to the next frame: {', '.join(get_args(Prompt))}")] = "box+mask",
    margin: Annotated[float, typer.Option(help="by which a box grows on each side, as a share of its sides")] = 0.02,
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="only the first N sequences: a subset, and called one")
    ] = None,
    masks: Annotated[bool, typer.Option("--save-masks", help="write OUT/masks as DAVIS wants submissions")] = False,
    figures: SaveFigures = False,
) -> None:
    """J&F on DAVIS-2017 of masks carried from frame to frame by prompts; not comparable with point tracking."""
    with report_errors():
        if (masks or figures) and out is None:
            raise ValueError("--save-masks and --save-figures write into the folder of --out: give one")
        propagation = Propagation(cast(Prompt, prompt), margin)
        subject = EvaluatedModel(checkpoint, engine, device)
        with spinner(f"looking through {data}"):
            sequences = {sequence.name: sequence for sequence in read_davis(data, subset, resolution, limit)}
        settings = {
            "program": "eval/video.py",
            "data": str(data.resolve()),
            "subset": subset,
            "resolution": resolution,
            **asdict(propagation),
            "checkpoint": subject.sha256,
            "engine": engine,
        }
        done = run(VideoJob(subject, propagation, sequences), out, settings, workers, unit="sequences")
        if not done:  # under torchrun the first rank tells
            return
        records = dict(zip(sequences, done, strict=True))
        objects = statistics_of(records)
        results = Results(
            program="eval/video.py",
            subject=subject,
            protocol={"name": f"{PROTOCOL}, {prompt}", **asdict(propagation), "unscored": "first and last frame"},
            data={
                "folder": str(data),
                "subset": subset,
                "resolution": resolution,
                "sequences": len(sequences),
                "objects": len(objects),
                "frames": sum(len(sequence.frames) for sequence in sequences.values()),
            },
            figures=summarise(list(objects.values())),
            seconds=sum(record["seconds"] for record in done),
            limit=limit,
            workers=workers,
            unit="sequences",
        )
        show(results)
        if out:
            keep(results, out)
            with atomic_write(out / "objects.json") as beside:
                content = {name: {"J": asdict(j), "F": asdict(f)} for name, (j, f) in objects.items()}
                beside.write_text(json.dumps(content, indent=1), encoding="utf-8")
        if out and masks:
            save_masks(out / "masks", records, sequences)
        if out and figures:
            save_figures(
                out / "figures", [case for n, record in records.items() for case in cases(record, sequences[n])]
            )


if __name__ == "__main__":
    typer.run(main)
