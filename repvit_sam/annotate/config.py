"""What a person asks for: everything that decides the results, and what does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..detections import MAX_BOXES
from ..jobs.chosen_model import ChosenModel
from ..jobs.computing import Computing
from ..photo import MAX_PIXELS
from .forms.choice import FORMS
from .sources.listing import Source

RUNNERS = ("local", "ray")


@dataclass(frozen=True, kw_only=True)
class Making:
    """What decides the results; a folder of results holds one such choice.

    Attributes:
        form: of the output.
        everything: arguments of ``SamAutomaticMaskGenerator``, for images without prompts.
        min_score, most_boxes: which of an image's boxes are taken, best first.
        shard_size: images a shard.
        limit: only the first so many images.
        max_pixels: larger images fail.
        threads: of each worker; sums are rounded differently with another number, and pixels at edges differ.

    Raises:
        ValueError: a value out of range; the message names the option.
    """

    model: ChosenModel
    form: str = "coco"
    everything: Mapping[str, Any] = field(default_factory=dict)
    min_score: float = 0.0
    most_boxes: int = MAX_BOXES
    shard_size: int = 64
    limit: int | None = None
    max_pixels: int = MAX_PIXELS
    threads: int = 1

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f"--format must be one of {', '.join(FORMS)}, got {self.form!r}")
        for option, value in (
            ("--shard-size", self.shard_size),
            ("--threads", self.threads),
            ("--max-pixels", self.max_pixels),
            ("--limit", self.limit or 1),
            ("--max-boxes", self.most_boxes),
        ):
            if value < 1:
                raise ValueError(f"{option} must be at least 1, got {value}")

    def settings(self, source: Source, computing: Computing) -> dict[str, Any]:
        """As JSON; the images themselves are compared by the plan.

        Args:
            computing: what the model's "auto" means where the work is done.
        """
        return {
            "source": source.full_address,
            "use": source.use,
            **self.model.settings_with(computing),
            "device": computing.device,
            "format": self.form,
            **self.everything,
            "min_score": self.min_score,
            "max_boxes": self.most_boxes,
            "shard_size": self.shard_size,
            "limit": self.limit,
            "max_pixels": self.max_pixels,
            "threads": self.threads,
        }


@dataclass(frozen=True, kw_only=True)
class Running:
    """How the work is done; the results do not depend on it.

    Attributes:
        workers: processes.
        runner: "local", processes on this machine, or "ray".
        address: of a Ray cluster; None starts Ray on this machine.
        gpus_per_worker: under Ray; a share of one is possible.
        as_listed: go on with the images as an earlier run listed them, though the source has changed.
        retry_failed: make the shards of images that failed again, after these were mended.

    Raises:
        ValueError: a value out of range, or options that do not go together.
    """

    workers: int = 1
    runner: str = "local"
    address: str | None = None
    gpus_per_worker: float = 0.0
    as_listed: bool = False
    retry_failed: bool = False

    def __post_init__(self) -> None:
        if self.runner not in RUNNERS:
            raise ValueError(f"--runner must be one of {', '.join(RUNNERS)}, got {self.runner!r}")
        if self.workers < 1:
            raise ValueError(f"--workers must be at least 1, got {self.workers}")
        if self.runner == "local" and (self.address or self.gpus_per_worker):
            raise ValueError("--address and --gpus-per-worker go with --runner ray")
        if self.as_listed and self.retry_failed:
            raise ValueError("--as-listed takes images as they were, --retry-failed as they are now; give one of them")
