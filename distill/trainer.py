"""Training: the stages of a recipe, one after the other, on the same student."""

from __future__ import annotations

import signal
from pathlib import Path

import torch
import typer
from lightning_fabric import Fabric
from timm.utils import ModelEmaV3

from repvit_sam.device import pick_device
from repvit_sam.modeling.sam import SamModel

from .batch_norm import synced_batch_norms
from .data.data_module import DataModule
from .data.loader import BatchLoader, targets_variance
from .progress import ProgressBar
from .recipe import Recipe, RecipeError
from .run.checkpointing import RunFolder, TrainerState
from .run.figures import merit
from .run.held_out import held_out_error
from .run.launch import launch, max_over_ranks
from .run.metric_logger import MetricLogger
from .run.schedule import Timer
from .run.signals import StopSignal
from .run.stage_run import StageRun, Step
from .run.validation import MaskValidation
from .stages import build_stage
from .stages.mask_teacher import MaskTeacher
from .student import build_student, copy_weights
from .teacher import load_teacher

_SECONDS_BETWEEN_METRICS = 10.0


def train(recipe: Recipe, out: Path, device: str = "auto") -> RunFolder:
    """Run a recipe to its end; a run that was stopped continues.

    Raises:
        RecipeError, CacheError, CheckpointError, ValueError: the recipe names something that does not fit.
        FloatingPointError: the loss is not finite.
        typer.Exit: after SIGTERM or Ctrl-C; everything is saved.
    """
    folder = RunFolder(out, recipe)
    Trainer(recipe, folder, launch(recipe, pick_device(device))).train()
    return folder


class Trainer:
    """One run of a recipe on this rank's device."""

    def __init__(self, recipe: Recipe, folder: RunFolder, fabric: Fabric) -> None:
        _check_batch_sizes(recipe, fabric.world_size)
        self.recipe, self.folder, self.fabric = recipe, folder, fabric
        self.is_first_rank = fabric.is_global_zero
        torch.manual_seed(recipe.seed)
        self.teacher = load_teacher(recipe.teacher.checkpoint, recipe.canvas, fabric.device)
        self.mask_teacher = MaskTeacher.of(recipe.teacher, self.teacher, recipe.canvas, fabric.device)
        self.data = DataModule(recipe, self.teacher, fabric.device, self.is_first_rank)
        self.student = _prepare_student(recipe, self.teacher, fabric)
        self.ema = ModelEmaV3(self.student, use_warmup=True)
        if recipe.engine.compile:
            self.student.image_encoder.compile()
        self.state = TrainerState()
        self._optimiser_state: dict[str, object] | None = None

    def train(self) -> None:
        """All stages that are not done yet."""
        self._begin_or_continue()
        self.validation = self._open_validation()
        silent = not self.is_first_rank
        with MetricLogger(self.folder.path / "tensorboard", silent) as self.logger, StopSignal(silent) as self.stop:
            for _ in range(self.state.stage, len(self.recipe.stages)):
                self._run_stage()
                self._end_stage()

    def _run_stage(self) -> None:
        run, held_out = self._set_up_stage()
        save = Timer(self.recipe.engine.save_every_minutes * 60)
        validate = Timer(self.recipe.validation.every_minutes * 60)
        metrics = Timer(_SECONDS_BETWEEN_METRICS)
        with ProgressBar(run.title, 1.0, silent=not self.is_first_rank, done=run.progress) as bar:
            while run.progress < 1:
                step = run.forward_backward()
                broken, stop_signal, save_due, validate_due, run.progress = max_over_ranks(
                    self.fabric,
                    [not step.is_finite, self.stop.number, save.due, validate.due, run.measured_progress],
                )
                if broken:
                    self._stop_on_nonfinite(step)
                run.update()
                self._log(run, step, bar, metrics)
                if save_due or stop_signal:
                    self._save(run.optimiser)
                    save.reset()
                if stop_signal:
                    self._exit(int(stop_signal))
                if validate_due and run.progress < 1:
                    self._validate(run, held_out, bar)
                    validate.reset()
            self._validate(run, held_out, bar)

    def _set_up_stage(self) -> tuple[StageRun, BatchLoader | None]:
        """The current stage, and the loader of its held-out photos."""
        index = self.state.stage
        stage, seed = self.recipe.stages[index], 1000 * self.recipe.seed + index
        loader = self.data.loader(index, seed)
        if not self.state.variance and stage.needs_teacher:
            self.state.variance = targets_variance(loader)
        losses = build_stage(stage, self.student, self.mask_teacher, self.state.variance or 1.0, seed)
        optimiser_state, self._optimiser_state = self._optimiser_state, None
        run = StageRun(stage, losses, self.student, self.ema, loader, self.fabric, self.state, seed, optimiser_state)
        return run, self.data.held_out_loader(index)

    def _end_stage(self) -> None:
        """The next stage starts from the averaged weights, with a new optimiser and its own measure of the best."""
        copy_weights(self.ema.module, self.student)
        self.state.stage, self.state.step, self.state.seconds = self.state.stage + 1, 0, 0.0
        if not self.recipe.validation.folder:
            self.state.best = float("-inf")
        self._save(None)

    # --- measuring -----------------------------------------------------------------------------------------------

    def _open_validation(self) -> MaskValidation | None:
        """True masks and the teacher's, on the first rank; the teacher's figures are the first line of the table."""
        config = self.recipe.validation
        if config.folder is None or not self.is_first_rank:
            return None
        validation = MaskValidation(config.folder, config.photos, config.min_area)
        figures = validation.keep_teacher(self.teacher)
        if not any(line["stage"] == "teacher" for line in self.folder.figures()):
            self.folder.log_figures({"stage": "teacher", "images": 0, **figures})
        return validation

    def _log(self, run: StageRun, step: Step, bar: ProgressBar, timer: Timer) -> None:
        losses = {name: float(value) for name, value in step.losses.items()}
        self.logger.add(losses)
        bar.advance(run.progress, run.images_a_step, f"loss {losses['loss']:.3f}")
        if timer.due:
            speed = {"rate": run.learning_rate, "images_per_second": bar.images_per_second}
            self.logger.write(self.state.images, speed)
            timer.reset()

    def _validate(self, run: StageRun, held_out: BatchLoader | None, bar: ProgressBar) -> None:
        """Measure and save the averaged weights; the best so far are kept. The other ranks wait."""
        if self.is_first_rank:
            name = f"{self.state.stage + 1} {run.stage.kind}"
            figures = self._measure(held_out)
            self.folder.log_figures({"stage": name, "images": self.state.images, **figures})
            self.folder.save_weights("last", self.ema.module, self.state, figures)
            if merit(figures, run.stage) >= self.state.best:
                self.state.best = merit(figures, run.stage)
                self.folder.save_weights("best", self.ema.module, self.state, figures)
            bar.print(f"stage {name}: " + ", ".join(f"{key} {value:.3f}" for key, value in figures.items()))
        self.fabric.barrier()

    def _measure(self, held_out: BatchLoader | None) -> dict[str, float]:
        figures = {"loss": self.logger.since_validation.take()["loss"]}
        if held_out:
            figures["held_out"] = held_out_error(self.ema.module, held_out, self.state.variance)
        if self.validation:
            scores, pictures = self.validation.score(self.ema.module)
            figures |= scores
            self.logger.write_pictures(self.state.images, pictures)
        self.logger.write(self.state.images, {f"validation/{key}": value for key, value in figures.items()})
        return figures

    # --- saving and leaving --------------------------------------------------------------------------------------

    def _begin_or_continue(self) -> None:
        if self.is_first_rank:
            self.folder.begin(self.data.manifest())
        self.fabric.barrier()
        with_state, without = max_over_ranks(self.fabric, [self.folder.has_state, not self.folder.has_state])
        if with_state and without:
            raise RecipeError(f"{self.folder.path} has a state on some machines only; --out must be one shared folder")
        if not with_state:
            return
        self.state, parts = self.folder.load_state()
        self.student.load_state_dict(parts["student"])
        self.ema.module.load_state_dict(parts["ema"])
        self._optimiser_state = parts.get("optimiser")
        stages = len(self.recipe.stages)
        if self.state.stage >= stages:
            self._say(f"{self.folder.path}: all {stages} stages are done")
        else:
            self._say(f"continuing in stage {self.state.stage + 1} at step {self.state.step}")

    def _save(self, optimiser: torch.optim.Optimizer | None) -> None:
        if self.is_first_rank:
            parts = {"student": self.student.state_dict(), "ema": self.ema.module.state_dict()}
            if optimiser is not None:
                parts["optimiser"] = optimiser.state_dict()
            self.folder.save_state(self.state, parts)

    def _stop_on_nonfinite(self, step: Step) -> None:
        """Stop before the weights move, with the batch on disk."""
        if step.is_finite:
            raise FloatingPointError("the loss of another rank is not finite; its message says where the batch is")
        loss, norm = float(step.losses["loss"]), float(step.gradient_norm)
        finite_loss = bool(torch.isfinite(step.losses["loss"]))
        what = f"the loss is {loss:.3g}, but its gradient's norm is {norm}" if finite_loss else f"the loss is {loss}"
        path = self.folder.save_nonfinite_batch(step.suspect._asdict(), self.fabric.global_rank)
        raise FloatingPointError(
            f"{what} at step {self.state.step} of stage {self.state.stage + 1}; the batch is in {path}. "
            "The weights are those of the last save; a lower learning_rate, a longer warmup or fp32 usually helps"
        )

    def _exit(self, number: int) -> None:
        name = signal.Signals(number).name
        self._say(f"{name}: saved at step {self.state.step}; the same command continues from there")
        raise typer.Exit(128 + number)

    def _say(self, line: str) -> None:
        if self.is_first_rank:
            typer.echo(line, err=True)


def _prepare_student(recipe: Recipe, teacher: SamModel, fabric: Fabric) -> SamModel:
    student = build_student(recipe.student, teacher, recipe.canvas).to(fabric.device)
    if recipe.engine.precision == "fp64":
        student.double()
    if recipe.engine.channels_last:
        student.image_encoder.to(memory_format=torch.channels_last)
    if recipe.engine.sync_batchnorm and fabric.world_size > 1:
        synced_batch_norms(student, fabric.device)
    return student


def _check_batch_sizes(recipe: Recipe, world: int) -> None:
    for number, stage in enumerate(recipe.stages, start=1):
        parts = stage.accumulate * world
        if stage.batch % parts:
            raise RecipeError(
                f"stage {number}: batch {stage.batch} cannot be divided among {world} ranks in {stage.accumulate} "
                f"parts each; take a multiple of {parts}"
            )
