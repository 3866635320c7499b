"""What a program is asked to do: the part that all programs share, and the base of their own choices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from repvit_sam.jobs.chosen_model import ChosenModel


@dataclass(frozen=True)
class RunConfig:
    """The options that all programs share.

    Attributes:
        out: folder of the results; None writes nothing.
        workers: processes on this machine.
        limit: only the first so many photos (or sets, or sequences).
        save_pictures: draw the best, median and worst cases into ``out/figures``.

    Raises:
        ValueError: pictures are asked for without a folder.
    """

    model: ChosenModel
    out: Path | None = None
    workers: int = 1
    limit: int | None = None
    save_pictures: bool = False

    def __post_init__(self) -> None:
        if self.save_pictures and self.out is None:
            raise ValueError("--save-figures draws into OUT/figures: give --out DIR")


@dataclass(frozen=True)
class EvaluationConfig(ABC):
    """Base of the configuration of each program, which adds the choices that decide its metrics.

    Attributes:
        program: "eval/instances.py".
        unit: what the job's keys and ``run.limit`` count.
    """

    program: ClassVar[str]
    unit: ClassVar[str] = "photos"

    run: RunConfig

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything that decides the records; a folder of results holds the records of one such set."""
