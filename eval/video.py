"""Objects followed through a video: DAVIS-2017's J&F of masks that are carried from frame to frame by box prompts.

    python eval/video.py --data DAVIS --checkpoint default --out runs/davis
    python eval/video.py --data DAVIS --prompt box --save-masks --save-figures --out runs/davis-box

* The first mask of each object is given, as in DAVIS-2017's semi-supervised task; each further frame is prompted from
  the one before (eval/prompting/propagation.py).
* J, F and J&F as DAVIS's own program has them (eval/metrics/video.py); the first and the last frame are not scored.
* ``--save-masks`` writes indexed PNGs into OUT/masks/SEQUENCE/, DAVIS's layout for submissions: its program reads them.
* A run that is killed loses only the sequences in progress (a hundred frames each at most).

NOT comparable with the DAVIS figures published for SAM-H (77.4), RepViT-SAM (73.5), SAM-B (71.3) and MobileSAM (71.1):
these were made, as far as is known, with SAM-PT's point tracking. Compare checkpoints by this program with each other.
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
from repvit_sam.eval.metrics import video as video_metrics
from repvit_sam.eval.metrics.video import Statistics, boundary_f_measure, region_similarity, statistics
from repvit_sam.eval.prompting.propagation import Masks, Prompt, Propagation, propagate
from repvit_sam.eval.runner.config import EvaluationConfig, RunConfig
from repvit_sam.eval.runner.evaluate import evaluate
from repvit_sam.eval.runner.options import Checkpoint, Device, EngineName, Out, PrecisionName, SavePictures, Workers
from repvit_sam.eval.runner.pictures import Example, draw_masks
from repvit_sam.eval.runner.results import Summary
from repvit_sam.files import atomic_write
from repvit_sam.jobs.chosen_model import ChosenModel
from repvit_sam.jobs.records import Record
from repvit_sam.photo import Photo, read_photo
from repvit_sam.predictor import SamPredictor
from repvit_sam.rle import decode_rle, encode_rle

PROTOCOL = "mask-to-box propagation"


@dataclass(frozen=True)
class VideoConfig(EvaluationConfig):
    """Attributes:
    subset: a list in ImageSets/2017.
    resolution: the name of a folder in JPEGImages and Annotations.
    save_masks: write ``out/masks``.
    """

    program = "eval/video.py"
    unit = "sequences"

    data: Path
    subset: str
    resolution: str
    propagation: Propagation
    save_masks: bool

    def __post_init__(self) -> None:
        if self.save_masks and self.run.out is None:
            raise ValueError("--save-masks writes into OUT/masks: give --out DIR")

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "data": str(self.data.resolve()),
            "subset": self.subset,
            "resolution": self.resolution,
            **asdict(self.propagation),
            **self.run.model.settings,
        }


@dataclass(frozen=True)
class VideoJob:
    """The masks of a sequence, and their scores."""

    model: ChosenModel
    propagation: Propagation
    sequences: Mapping[str, VideoSequence]

    @property
    def keys(self) -> Sequence[str]:
        return list(self.sequences)

    def start(self) -> Callable[[str], Record]:
        return partial(self._evaluate, self.model.predictor())

    def _evaluate(self, predictor: SamPredictor, name: str) -> Record:
        return evaluate_sequence(predictor, self.sequences[name], self.propagation)


def evaluate_sequence(predictor: SamPredictor, sequence: VideoSequence, propagation: Propagation) -> Record:
    """Masks and scores of each object: ``{"objects": [{"id", "J": [...], "F": [...], "masks": [RLE, ...]}, ...]}``.

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


def summarise(config: VideoConfig, sequences: Mapping[str, VideoSequence], records: Mapping[str, Record]) -> Summary:
    objects = statistics_of(records)

    def write_files(out: Path) -> None:
        with atomic_write(out / "objects.json") as beside:
            content = {name: {"J": asdict(j), "F": asdict(f)} for name, (j, f) in objects.items()}
            beside.write_text(json.dumps(content, indent=1), encoding="utf-8")
        if config.save_masks:
            save_masks(out / "masks", records, sequences)

    propagation = config.propagation
    return Summary(
        protocol={
            "name": f"{PROTOCOL}, {propagation.prompt}",
            **asdict(propagation),
            "unscored": "first and last frame",
        },
        data={
            "folder": str(config.data),
            "subset": config.subset,
            "resolution": config.resolution,
            "sequences": len(sequences),
            "objects": len(objects),
            "frames": sum(len(sequence.frames) for sequence in sequences.values()),
        },
        metrics=video_metrics.summarise(list(objects.values())),
        examples=lambda: [one for name, record in records.items() for one in examples_of(record, sequences[name])],
        write_files=write_files,
    )


def save_masks(folder: Path, records: Mapping[str, Record], sequences: Mapping[str, VideoSequence]) -> None:
    """``folder/SEQUENCE/00000.png``: the given first mask, and all that followed."""
    for name, record in records.items():
        sequence = sequences[name]
        for index, path in enumerate(sequence.annotations):
            masks = _masks_at(record, index) if index else sequence.masks(0)
            write_labels(folder / name / path.name, labels_of(masks, sequence.object_ids), like=sequence.annotations[0])


def examples_of(record: Record, sequence: VideoSequence) -> list[Example]:
    """Each object of a sequence at the frame whose score is nearest to the object's mean."""
    found = []
    for place, scored in enumerate(record["objects"]):
        both = (np.array(scored["J"]) + np.array(scored["F"])) / 2
        index = int(np.abs(both - both.mean()).argmin()) + 1  # of the frame; the first is not scored
        caption = f"J&F {both[index - 1]:.2f} {sequence.name} {scored['id']} #{index}"
        found.append(Example(float(both.mean()), partial(_draw, record, sequence, place, index, caption)))
    return found


def _masks_at(record: Record, index: int) -> Masks:
    return np.stack([decode_rle(found["masks"][index - 1]) for found in record["objects"]])


def _draw(record: Record, sequence: VideoSequence, place: int, index: int, caption: str) -> Photo:
    photo = read_photo(sequence.frames[index])
    return draw_masks(photo, sequence.masks(index)[place], _masks_at(record, index)[place], caption)


def main(
    data: Annotated[Path, typer.Option(help="the folder DAVIS: JPEGImages, Annotations, ImageSets")],
    subset: Annotated[str, typer.Option(help="a list in ImageSets/2017: val, train")] = "val",
    resolution: Annotated[str, typer.Option(help="480p, or the name of another folder")] = "480p",
    prompt: Annotated[str, typer.Option(help=f"carried to the next frame: {', '.join(get_args(Prompt))}")] = "box+mask",
    margin: Annotated[float, typer.Option(help="how much a box grows on each side, as a share of its sides")] = 0.02,
    checkpoint: Checkpoint = "default",
    engine: EngineName = "torch",
    precision: PrecisionName = "auto",
    device: Device = "auto",
    out: Out = None,
    workers: Workers = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="only the first N sequences; the table is then marked as a subset")
    ] = None,
    masks: Annotated[bool, typer.Option("--save-masks", help="write OUT/masks as DAVIS wants submissions")] = False,
    figures: SavePictures = False,
) -> None:
    """J&F on DAVIS-2017 of masks carried from frame to frame by prompts; not comparable with point tracking."""
    with report_errors():
        run = RunConfig(ChosenModel(checkpoint, engine, device, precision), out, workers, limit, figures)
        propagation = Propagation(cast(Prompt, prompt), margin)
        config = VideoConfig(run, data, subset, resolution, propagation, masks)
        with spinner(f"reading {data}"):
            sequences = {sequence.name: sequence for sequence in read_davis(data, subset, resolution, limit)}
        evaluate(VideoJob(run.model, propagation, sequences), config, partial(summarise, config, sequences))


if __name__ == "__main__":
    typer.run(main)
