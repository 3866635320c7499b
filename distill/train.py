"""Train a student from a recipe; a run that was stopped goes on by the same command.

    python distill/train.py smoke --out RUN --set data.sources='[photos/]'
    python distill/train.py m2_3_windows --out RUN --minutes 9 --start weights/so_far.safetensors --seed 2
    torchrun --nproc-per-node 8 distill/train.py paper --out RUN

``distill/recipes/`` has the recipes, docs/training.md the walk through them.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from types import FrameType
from typing import Annotated

import torch
import typer
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from rich.console import Console
from rich.table import Table
from timm.utils import ModelEmaV3
from torch import Tensor

from repvit_sam.canvas import EMBEDDING_STRIDE
from repvit_sam.console import report_errors
from repvit_sam.device import pick_device
from repvit_sam.distill.batch_norm import frozen_batch_norms, synced_batch_norms
from repvit_sam.distill.data.data_module import Material
from repvit_sam.distill.data.dataset import valid_cells
from repvit_sam.distill.data.loader import Batch
from repvit_sam.distill.data.sampler import positions_of
from repvit_sam.distill.data.sources import PhotoItem
from repvit_sam.distill.recipe import Recipe, RecipeError, Stage, find_recipe, read_recipe, with_minutes
from repvit_sam.distill.run.checkpointing import Position, RunFolder
from repvit_sam.distill.run.launch import agreed, launch
from repvit_sam.distill.run.metric_logger import Journal
from repvit_sam.distill.run.progress import Meter
from repvit_sam.distill.run.schedule import Timer, Timetable, learning_rate_at
from repvit_sam.distill.run.validation import Validation
from repvit_sam.distill.stages import build_stage
from repvit_sam.distill.stages.losses import embedding_error
from repvit_sam.distill.student import build_student, copy_weights, parameter_groups, set_trained
from repvit_sam.distill.teacher import load_teacher

_SECONDS_BETWEEN_ENTRIES = 10.0


class Trainer:
    """One run of a recipe on this rank's device."""

    def __init__(self, recipe: Recipe, run: RunFolder, fabric: Fabric) -> None:
        self.recipe, self.run, self.fabric = recipe, run, fabric
        self.first = fabric.is_global_zero
        for number, stage in enumerate(recipe.stages, start=1):
            _check_share(stage, number, fabric.world_size)
        torch.manual_seed(recipe.seed)
        self.teacher = load_teacher(recipe.teacher.checkpoint, recipe.canvas, fabric.device)
        self.material = Material(recipe, self.teacher, fabric.device, self.first)
        self.student = build_student(recipe.student, self.teacher, recipe.canvas).to(fabric.device)
        if recipe.engine.precision == "fp64":
            self.student.double()
        if recipe.engine.channels_last:
            self.student.image_encoder.to(memory_format=torch.channels_last)
        if recipe.engine.sync_batchnorm and fabric.world_size > 1:
            synced_batch_norms(self.student, fabric.device)
        self.ema = ModelEmaV3(self.student, use_warmup=True)
        if recipe.engine.compile:
            self.student.image_encoder.compile()
        self.position = Position()
        self._optimiser_state: dict[str, object] | None = None
        self._stop_signal = 0

    def train(self) -> None:
        """All stages that are still to be done."""
        if self.first:
            self.run.begin(self.material.manifest())
        self.fabric.barrier()
        with_state, without = agreed(self.fabric, [self.run.has_state, not self.run.has_state])
        if with_state and without:
            raise RecipeError(f"{self.run.path} has a state on some machines only; --out must be one shared folder")
        if with_state:
            self._restore()
        validation = self._validation()
        self.journal = Journal(self.run.path / "tensorboard", silent=not self.first)
        with self._signals_noted():
            for number in range(self.position.stage, len(self.recipe.stages)):
                self._run_stage(self.recipe.stages[number], validation)
                self._end_stage()
        self.journal.close()

    # --- the loop ------------------------------------------------------------------------------------------------

    def _run_stage(self, stage: Stage, validation: Validation | None) -> None:
        number, seed = self.position.stage, 1000 * self.recipe.seed + self.position.stage
        batches, held_out = self.material.batches(number, seed)
        if not self.position.variance and stage.kind != "masks":
            self.position.variance = self.material.variance_of_targets(batches)
        module, optimiser = self._set_up(stage, seed)
        timetable = self._timetable(stage, len(batches.canvases.items))
        stream = batches.of(self._positions(stage))
        save_due = Timer(self.recipe.engine.save_every_minutes * 60)
        validate_due = Timer(self.recipe.validation.every_minutes * 60)
        enter_due = Timer(_SECONDS_BETWEEN_ENTRIES)
        progress = timetable.progress(self.position.step)
        title = f"stage {number + 1}, {stage.kind}"
        with Meter(title, 1.0, silent=not self.first, done=progress) as meter:
            while progress < 1:
                self.position.step += 1
                now = timetable.progress(self.position.step)
                rate = learning_rate_at(now, stage.learning_rate, stage.final_rate, stage.warmup)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                torch.manual_seed(hash((seed, self.position.step, self.fabric.global_rank)) % 2**63)
                losses, batch = self._forward_and_backward(module, stream, stage)
                norm = self.fabric.clip_gradients(module, optimiser, max_norm=stage.clip, error_if_nonfinite=False)
                assert norm is not None
                broken, stop, save, validate, progress = agreed(
                    self.fabric,
                    [
                        not (torch.isfinite(losses["loss"]) and torch.isfinite(norm)),
                        self._stop_signal,
                        save_due.now,
                        validate_due.now,
                        timetable.progress(self.position.step),
                    ],
                )
                if broken:
                    self._refuse(batch, losses, norm)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                self.ema.update(self.student, self.position.step)
                self.position.images += _images_a_step(stage)
                self.position.seconds = timetable.seconds_of_work
                self.journal.note({name: float(value) for name, value in losses.items()})
                meter.advance(progress, _images_a_step(stage), f"loss {float(losses['loss']):.3f}")
                if enter_due.now:
                    speed = {"rate": rate, "images_per_second": meter.images_per_second}
                    self.journal.enter(self.position.images, speed)
                    enter_due.reset()
                if save or stop:
                    self._save(optimiser)
                    save_due.reset()
                if stop:
                    self._leave(int(stop))
                if validate and progress < 1:
                    self._validate(stage, validation, held_out, meter)
                    validate_due.reset()
            self._validate(stage, validation, held_out, meter)

    def _forward_and_backward(
        self, module: _FabricModule, stream: Iterator[Batch], stage: Stage
    ) -> tuple[dict[str, Tensor], Batch]:
        """Gradients of one step, in parts; the mean of each loss over the parts, and the part to suspect if any."""
        sums: dict[str, Tensor] = {}
        suspect: Batch | None = None
        for part in range(stage.accumulate):
            batch = next(stream)
            with self.fabric.no_backward_sync(module, enabled=part + 1 < stage.accumulate):
                losses = module(batch)
                self.fabric.backward(losses["loss"] / stage.accumulate)
            if suspect is None and not torch.isfinite(losses["loss"]):
                suspect = batch
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value.detach() / stage.accumulate
        return sums, suspect or batch

    # --- setting up ----------------------------------------------------------------------------------------------

    def _set_up(self, stage: Stage, seed: int) -> tuple[_FabricModule, torch.optim.Optimizer]:
        set_trained(self.student, stage.train)
        self.student.train()
        if stage.freeze_batchnorm:
            frozen_batch_norms(self.student)
        losses = build_stage(stage, self.student, self.teacher, self.position.variance or 1.0, seed)
        fused = self.fabric.device.type == "cuda"
        groups = parameter_groups(self.student, stage.weight_decay)
        optimiser = torch.optim.AdamW(groups, lr=stage.learning_rate, betas=stage.betas, fused=fused)
        if self._optimiser_state is not None:
            optimiser.load_state_dict(self._optimiser_state)
            self._optimiser_state = None
        self.ema.decay = stage.ema
        return self.fabric.setup(losses, optimiser)

    def _timetable(self, stage: Stage, photos: int) -> Timetable:
        steps = stage.steps
        if stage.epochs is not None:
            steps = max(1, round(stage.epochs * photos / stage.batch))
        seconds = None if stage.minutes is None else stage.minutes * 60
        return Timetable(steps, seconds, self.position.seconds)

    def _positions(self, stage: Stage) -> Iterator[list[int]]:
        rank, world = self.fabric.global_rank, self.fabric.world_size
        steps = count(self.position.step)  # taken now, not when the first batch is asked for
        return chain.from_iterable(positions_of(step, stage.batch, stage.accumulate, rank, world) for step in steps)

    def _validation(self) -> Validation | None:
        settings = self.recipe.validation
        if settings.folder is None or not self.first:
            return None
        validation = Validation(settings.folder, settings.photos, settings.min_area)
        figures = validation.teach(self.teacher)
        if not any(line["stage"] == "teacher" for line in self.run.figures()):
            self.run.log_figures({"stage": "teacher", "images": 0, **figures})
        return validation

    # --- measuring, saving, leaving ------------------------------------------------------------------------------

    def _validate(self, stage: Stage, validation: Validation | None, held_out: list[PhotoItem], meter: Meter) -> None:
        """Figures of the averaged weights; the best so far are kept. The other ranks wait."""
        if self.first:
            name = f"{self.position.stage + 1} {stage.kind}"
            losses = self.journal.enter(self.position.images, {})
            figures: dict[str, float] = {"loss": losses["loss"]}
            if held_out and stage.kind != "masks":
                figures["held_out"] = self._held_out_error(held_out)
            if validation:
                scores, pictures = validation.score(self.ema.module)
                figures |= scores
                self.journal.show(self.position.images, pictures)
            self.journal.enter(self.position.images, {f"validation/{key}": value for key, value in figures.items()})
            self.run.log_figures({"stage": name, "images": self.position.images, **figures})
            self.run.save_weights("last", self.ema.module, self.position, figures)
            if _merit(figures, stage) >= self.position.best:
                self.position.best = _merit(figures, stage)
                self.run.save_weights("best", self.ema.module, self.position, figures)
            meter.say(f"stage {name}: " + ", ".join(f"{key} {value:.3f}" for key, value in figures.items()))
        self.fabric.barrier()

    @torch.no_grad()
    def _held_out_error(self, held_out: list[PhotoItem]) -> float:
        errors = []
        dtype = next(self.ema.module.parameters()).dtype
        for batch in self.material.whole(held_out).of([position] for position in range(len(held_out))):
            assert batch.target is not None
            predicted = self.ema.module.image_encoder(batch.canvas.to(dtype))
            valid = valid_cells(batch.content_hw, predicted.shape[-1] * EMBEDDING_STRIDE).float()
            errors.append(float(embedding_error(predicted, batch.target, valid)))
        return sum(errors) / len(errors) / self.position.variance

    def _end_stage(self) -> None:
        """The next stage goes on from the averaged weights, with a fresh optimiser and its own measure of the best."""
        copy_weights(self.ema.module, self.student)
        self.position.stage, self.position.step, self.position.seconds = self.position.stage + 1, 0, 0.0
        if not self.recipe.validation.folder:
            self.position.best = float("-inf")
        self._save(None)

    def _save(self, optimiser: torch.optim.Optimizer | None) -> None:
        if self.first:
            parts = {"student": self.student.state_dict(), "ema": self.ema.module.state_dict()}
            if optimiser is not None:
                parts["optimiser"] = optimiser.state_dict()
            self.run.save_state(self.position, parts)

    def _restore(self) -> None:
        self.position, parts = self.run.load_state()
        self.student.load_state_dict(parts["student"])
        self.ema.module.load_state_dict(parts["ema"])
        self._optimiser_state = parts.get("optimiser")
        if self.first:
            stages = len(self.recipe.stages)
            if self.position.stage >= stages:
                typer.echo(f"{self.run.path}: all {stages} stages are done", err=True)
            else:
                typer.echo(f"going on in stage {self.position.stage + 1} at step {self.position.step}", err=True)

    def _refuse(self, batch: Batch, losses: dict[str, Tensor], norm: Tensor) -> None:
        """Stop before the optimiser moves, with what caused it on disk."""
        if not torch.isfinite(losses["loss"]):
            what = f"the loss is {float(losses['loss'])}"
        elif not torch.isfinite(norm):
            what = f"the loss is {float(losses['loss']):.3g}, but its gradient's norm is {float(norm)}"
        else:
            raise FloatingPointError("the loss of another rank is not finite; its message says where the batch is")
        path = self.run.save_suspect(batch._asdict(), self.fabric.global_rank)
        raise FloatingPointError(
            f"{what} at step {self.position.step} of stage {self.position.stage + 1}; the batch is in {path}. "
            "The weights are those of the last save; a lower learning_rate, a longer warmup or fp32 usually helps"
        )

    def _leave(self, number: int) -> None:
        self.journal.close()
        if self.first:
            name = signal.Signals(number).name
            typer.echo(f"{name}: saved at step {self.position.step}; the same command goes on from there", err=True)
        raise typer.Exit(128 + number)

    @contextmanager
    def _signals_noted(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C are obeyed at the end of a step; a second Ctrl-C at once."""

        def note(number: int, _: FrameType | None) -> None:
            if number == signal.SIGINT and self._stop_signal:
                raise KeyboardInterrupt
            self._stop_signal = number
            if self.first:
                typer.echo("stopping after this step; Ctrl-C again stops at once, without saving", err=True)

        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _check_share(stage: Stage, number: int, world: int) -> None:
    parts = stage.accumulate * world
    if stage.batch % parts:
        raise RecipeError(
            f"stage {number}: batch {stage.batch} cannot be dealt out to {world} ranks in {stage.accumulate} parts "
            f"each; take a multiple of {parts}"
        )


def _images_a_step(stage: Stage) -> int:
    """Photos, or windows where the stage cuts them."""
    return stage.batch * (stage.windows if stage.kind == "encoder" and stage.window else 1)


def _merit(figures: dict[str, float], stage: Stage) -> float:
    """What "best" means: box and point mIoU; without true masks, an embedding's error on photos held out; else last."""
    if "box" in figures:
        return figures["box"] + figures["point"]
    return -figures["held_out"] if stage.kind == "encoder" and "held_out" in figures else float("inf")


def train(recipe: Recipe, run: Path, device: str = "auto") -> RunFolder:
    """Run a recipe to its end, or on from where it stopped.

    Raises:
        RecipeError, CacheError, CheckpointError, ValueError: something that the recipe names does not fit.
        FloatingPointError: the loss is not finite.
        typer.Exit: a signal asked to stop; everything is saved.
    """
    folder = RunFolder(run, recipe)
    Trainer(recipe, folder, launch(recipe, pick_device(device))).train()
    return folder


def print_figures(run: RunFolder) -> None:
    """A table: the teacher, then every validation."""
    lines = run.figures()
    names = ("loss", "held_out", "box", "point", "agreement_box", "agreement_point")
    columns = [name for name in names if any(name in line for line in lines)]
    table = Table()
    table.add_column("stage")
    table.add_column("images", justify="right")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for line in lines:
        values = (f"{line[column]:.3f}" if column in line else "-" for column in columns)
        table.add_row(line["stage"], str(line["images"]), *values)
    console = Console()
    # a file or pipe has no width of its own; a table cut to 80 columns is no record
    (console if console.is_terminal else Console(width=120)).print(table)


def main(
    recipe: Annotated[str, typer.Argument(help="a YAML file, or the name of one in distill/recipes")],
    out: Annotated[Path, typer.Option(help="folder of the run; made, or continued")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="key.path=value; repeat")] = None,
    start: Annotated[str | None, typer.Option(help="checkpoint to go on from (student.start)")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="of all stages together, by the clock")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N photos (data.limit)")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="another for each leg (seed)")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps")] = "auto",
) -> None:
    """Train a student from a recipe."""
    with report_errors():
        given = {"student.start": start, "data.limit": limit, "seed": seed}
        changes = [*(set_ or ()), *(f"{key}={value}" for key, value in given.items() if value is not None)]
        chosen = read_recipe(find_recipe(recipe), changes)
        if minutes:
            chosen = with_minutes(chosen, minutes)
        try:
            folder = train(chosen, out, device)
        except FloatingPointError as error:
            raise ValueError(str(error)) from None
        print_figures(folder)
        typer.echo(f"weights: {out / 'best.safetensors'} and last.safetensors", err=True)


if __name__ == "__main__":
    typer.run(main)
