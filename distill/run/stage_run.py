"""One stage under way: its losses, optimiser, batches and learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import torch
from lightning_fabric import Fabric
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from repvit_sam.modeling.sam import SamModel

from ..batch_norm import frozen_batch_norms
from ..data.loader import Batch, BatchLoader
from ..data.sampler import positions_of
from ..recipe import Stage
from ..student import parameter_groups, set_trained
from .checkpointing import TrainerState
from .schedule import StageSchedule, learning_rate_at


@dataclass(frozen=True)
class Step:
    """What a step computed, before the weights move.

    Attributes:
        losses: mean of each over the parts of the step.
        gradient_norm: before clipping.
        suspect: the first part whose loss is not finite; else the last part.
    """

    losses: dict[str, Tensor]
    gradient_norm: Tensor
    suspect: Batch

    @property
    def is_finite(self) -> bool:
        return bool(torch.isfinite(self.losses["loss"]) and torch.isfinite(self.gradient_norm))


class StageRun:
    """See the module.

    Args:
        losses: the stage's module (stages/), around the student.
        state: of the whole run; the stage counts its steps, images and seconds there.
        seed: of this stage.
        optimiser_state: of the run that continues; None starts afresh.
    """

    def __init__(
        self,
        stage: Stage,
        losses: nn.Module,
        student: SamModel,
        ema: ModelEmaV3,
        loader: BatchLoader,
        fabric: Fabric,
        state: TrainerState,
        seed: int,
        optimiser_state: dict[str, object] | None,
    ) -> None:
        self.stage, self.state = stage, state
        self._student, self._ema, self._fabric, self._seed = student, ema, fabric, seed
        set_trained(student, stage.train)
        student.train()
        if stage.freeze_batchnorm:
            frozen_batch_norms(student)
        groups = parameter_groups(student, stage.weight_decay)
        fused = fabric.device.type == "cuda"
        optimiser = torch.optim.AdamW(groups, lr=stage.learning_rate, betas=stage.betas, fused=fused)
        if optimiser_state is not None:
            optimiser.load_state_dict(optimiser_state)
        ema.decay = stage.ema
        self._losses, self.optimiser = fabric.setup(losses, optimiser)
        self.schedule = StageSchedule.of(stage, len(loader.dataset.items), state.seconds)
        self.progress = self.measured_progress
        self.learning_rate = 0.0
        self._batches = loader.batches(
            self._positions(state.step), stage.batch // (stage.accumulate * fabric.world_size)
        )

    @property
    def title(self) -> str:
        return f"stage {self.state.stage + 1}, {self.stage.kind}"

    @property
    def measured_progress(self) -> float:
        """By this rank's clock; ``progress`` is what all ranks agreed on."""
        return self.schedule.progress(self.state.step)

    @property
    def images_a_step(self) -> int:
        """Photos, or windows where the stage cuts them."""
        return self.stage.batch * (self.stage.windows if self.stage.kind == "encoder" and self.stage.window else 1)

    def forward_backward(self) -> Step:
        """The gradients of the next step."""
        self.state.step += 1
        self._set_learning_rate()
        # from the step alone, so that a run that continues draws the same
        torch.manual_seed(hash((self._seed, self.state.step, self._fabric.global_rank)) % 2**63)
        sums: dict[str, Tensor] = {}
        suspect: Batch | None = None
        parts = self.stage.accumulate
        for part in range(parts):
            batch = next(self._batches)
            with self._fabric.no_backward_sync(self._losses, enabled=part + 1 < parts):
                losses = self._losses(batch)
                self._fabric.backward(losses["loss"] / parts)
            if suspect is None and not torch.isfinite(losses["loss"]):
                suspect = batch
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value.detach() / parts
        norm = self._fabric.clip_gradients(
            self._losses, self.optimiser, max_norm=self.stage.clip, error_if_nonfinite=False
        )
        assert norm is not None
        return Step(sums, norm, suspect or batch)

    def update(self) -> None:
        """Move the weights and their average."""
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._ema.update(self._student, self.state.step)
        self.state.images += self.images_a_step
        self.state.seconds = self.schedule.seconds_of_work

    def _set_learning_rate(self) -> None:
        stage, progress = self.stage, self.measured_progress
        self.learning_rate = learning_rate_at(progress, stage.learning_rate, stage.final_rate, stage.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate

    def _positions(self, first_step: int) -> Iterator[int]:
        rank, world = self._fabric.global_rank, self._fabric.world_size
        for step in count(first_step):
            yield from positions_of(step, self.stage.batch, self.stage.accumulate, rank, world)
