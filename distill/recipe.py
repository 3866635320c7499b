"""A recipe: everything that decides what a run computes, read from YAML, checked, and kept beside the result.

    recipe = read_recipe(Path("distill/recipes/smoke.yaml"), ["canvas=512", "stages.0.batch=4"])

Unknown keys are refused; ``--set`` takes the place of a value by its path, ``stages.0.minutes=9``, written as YAML.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from repvit_sam.canvas import CANVAS_SIZE, EMBEDDING_STRIDE, check_canvas_size

Trained = Literal["encoder", "prompt_encoder", "decoder"]


class RecipeError(ValueError):
    """A recipe that cannot be used; one line a mistake."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StudentConfig(_Part):
    """The network that learns."""

    variant: str = "repvit_m2_3"
    start: str | None = Field(
        None,
        description="checkpoint to start from; 'imagenet' for timm's weights, 'imagenet:FILE' for a RepViT classifier "
        "of your own; null starts from nothing",
    )
    neck_from_teacher: bool = Field(True, description="start the neck's second half from the teacher's (same shapes)")


class TeacherConfig(_Part):
    """The network that is learnt from."""

    checkpoint: str = Field("vit_h", description="vit_h, vit_l, vit_b, vit_t, a checkpoint name, or a file")
    cache: Path | None = Field(None, description="written by distill/cache_embeddings.py; null encodes each batch")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="of a teacher without a cache")
    committee: tuple[str, ...] = Field(
        (), description="more checkpoints; prompts stages learn the mean of all their masks"
    )
    mirrored: bool = Field(False, description="the teacher's masks of the mirrored photo are part of that mean, too")


class DataConfig(_Part):
    """The photos; see sources.py for what a source may be."""

    sources: tuple[str | dict[str, str], ...] = Field(min_length=1)
    hold_out: int = Field(0, ge=0, description="photos kept out, evenly spread, at most a quarter")
    limit: int | None = Field(None, ge=1, description="only the first N photos")
    in_memory: bool = Field(True, description="keep uint8 canvases on the device (3 MiB each at 1024)")
    workers: int = Field(4, ge=1, description="threads that decode photos")


class EngineConfig(_Part):
    """How it is computed."""

    precision: Literal["fp32", "bf16", "fp64"] = Field("fp32", description="bf16: autocast, layer norms in float32")
    sync_batchnorm: bool = Field(False, description="batch statistics over all ranks")
    compile: bool = Field(False, description="torch.compile the student")
    channels_last: bool = True
    save_every_minutes: float = Field(5, gt=0, description="between saves; SIGTERM saves at once")


class ValidationConfig(_Part):
    """What is measured during training: box and point mIoU, and agreement with the teacher's masks."""

    folder: Path | None = Field(None, description="COCO-format folder with true masks; null leaves this out")
    photos: int | None = Field(None, ge=1, description="only the first N photos")
    min_area: float = Field(32.0**2, ge=1, description="leave out smaller instances, pixels")
    every_minutes: float = Field(30, gt=0, description="between validations; one more ends each stage")


class AugmentConfig(_Part):
    """Random changes of a canvas. Not with cached embeddings, which belong to the unchanged canvas."""

    mirror: bool = False
    zoom: tuple[float, float] | None = Field(None, description="smallest and largest, e.g. [0.6, 3.0]")
    zoom_share: float = Field(0.6, ge=0, le=1, description="share of the photos that are zoomed")
    colour: float = Field(0.0, ge=0, le=1, description="contrast and colour shift, 0 to about 0.4")

    @property
    def active(self) -> bool:
        return self.mirror or self.zoom is not None or self.colour > 0

    @model_validator(mode="after")
    def _zoom_grows(self) -> AugmentConfig:
        if self.zoom and not 0.1 <= self.zoom[0] <= self.zoom[1] <= 16:
            raise ValueError("zoom must be smallest and largest, within 0.1 and 16")
        return self


class _Stage(_Part):
    """What all stages share. The length is exactly one of steps, epochs and minutes.

    Attributes:
        needs_teacher: the stage compares with the teacher's embeddings; else it learns from true masks alone.
        reads_masks: it uses the annotated masks of its photos, where there are any.
    """

    needs_teacher: ClassVar[bool] = True
    reads_masks: ClassVar[bool] = True

    steps: int | None = Field(None, ge=1)
    epochs: float | None = Field(None, gt=0, description="passes over the photos")
    minutes: float | None = Field(None, gt=0, description="the schedule follows the clock")
    batch: int = Field(8, ge=1, description="photos a step, over all ranks and accumulation")
    accumulate: int = Field(1, ge=1, description="parts in which a rank computes its share of a step (saves memory)")
    learning_rate: float = Field(1e-3, gt=0, description="peak")
    final_rate: float = Field(0.02, ge=0, le=1, description="at the end, as a share of the peak (cosine)")
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the stage with a rising rate")
    weight_decay: float = Field(0.05, ge=0, description="of kernels and matrices; vectors have none")
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    ema: float = Field(0.999, ge=0, lt=1, description="moving average of the weights: what is saved and measured")
    train: tuple[Trained, ...] = Field(("encoder",), min_length=1, description="parts that learn; others are frozen")
    freeze_batchnorm: bool = Field(False, description="keep the running statistics: right for a few photos a step")
    augment: AugmentConfig = AugmentConfig()
    data: DataConfig | None = Field(None, description="photos of this stage; null takes the recipe's")

    @model_validator(mode="after")
    def _one_length(self) -> _Stage:
        given = [name for name in ("steps", "epochs", "minutes") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of steps, epochs and minutes, got {' and '.join(given) or 'none'}")
        return self


class EncoderStage(_Stage):
    """Squared error to the teacher's embedding."""

    reads_masks = False

    kind: Literal["encoder"]
    window: int | None = Field(None, description="train on windows of this many pixels; null takes whole canvases")
    windows: int = Field(1, ge=1, description="windows a photo")
    padding_weight: float = Field(0.0, ge=0, le=1, description="weight of cells beyond the photo; the loss shown has 0")

    @model_validator(mode="after")
    def _fits(self) -> EncoderStage:
        if self.window is not None and (self.window % EMBEDDING_STRIDE or self.window < 64):
            raise ValueError(f"window must be a multiple of {EMBEDDING_STRIDE} from 64, got {self.window}")
        if self.train != ("encoder",):
            raise ValueError("the encoder stage trains only the encoder; leave train out")
        return self


class PromptsStage(_Stage):
    """Student and teacher decode the same prompts; where they disagree, the next point is put."""

    kind: Literal["prompts"]
    prompts: int = Field(8, ge=1, description="prompts a photo")
    rounds: int = Field(2, ge=1, description="decodings a prompt, one more point after each")
    embedding_weight: float = Field(0.0, ge=0, description="of the encoder stage's loss, added to the masks' loss")


class MasksStage(_Stage):
    """SAM's own training on true masks; fine-tuning on one's own."""

    needs_teacher = False

    kind: Literal["masks"]
    masks: int = Field(16, ge=1, description="masks a photo, at random")
    rounds: int = Field(8, ge=1, description="decodings a mask: a first prompt, then corrections (SAM: 11)")


Stage = Annotated[EncoderStage | PromptsStage | MasksStage, Field(discriminator="kind")]


class Recipe(_Part):
    """A whole run: stages one after the other on the same student."""

    about: str = ""
    seed: int = Field(0, ge=0, description="of everything random; take another for each leg on the same photos")
    canvas: int = CANVAS_SIZE
    student: StudentConfig = StudentConfig()
    teacher: TeacherConfig = TeacherConfig()
    data: DataConfig
    engine: EngineConfig = EngineConfig()
    validation: ValidationConfig = ValidationConfig()
    stages: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        check_canvas_size(self.canvas)
        for key in ("committee", "mirrored"):
            if getattr(self.teacher, key) and not any(stage.kind == "prompts" for stage in self.stages):
                raise ValueError(f"teacher.{key} is for prompts stages, and there is none; leave it out")
        for number, stage in enumerate(self.stages):
            if stage.augment.active and self.teacher.cache and stage.needs_teacher:
                raise ValueError(
                    f"stages.{number}.augment changes the photo, but cached embeddings belong to the unchanged one; "
                    "set teacher.cache=null, or leave augment out"
                )
            if self.engine.precision == "fp64" and (stage.kind != "encoder" or self.validation.folder):
                raise ValueError("fp64 is for tests of the encoder stage; leave validation.folder out")
            if isinstance(stage, EncoderStage) and (stage.window or 0) > self.canvas:
                raise ValueError(f"stages.{number}.window is larger than the canvas of {self.canvas}")
        return self

    def as_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a YAML file and apply ``key.path=value`` changes.

    Raises:
        RecipeError: names every key that is unknown, missing or out of range.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in recipes_folder().glob("*.yaml")))
        raise RecipeError(f"{path}: {error.strerror}; bundled recipes: {known}") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"{path} must hold keys and values, got {type(content).__name__}")
    for change in changes:
        _apply(content, change)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        lines = [f"  {_where(mistake['loc'])}: {mistake['msg']}" for mistake in error.errors()]
        raise RecipeError(f"{path} has {len(lines)} mistake{'s' * (len(lines) > 1)}:\n" + "\n".join(lines)) from None


def with_minutes(recipe: Recipe, minutes: float) -> Recipe:
    """The same recipe in so many minutes: stages by the clock share them in proportion, a single stage takes them all.

    Raises:
        RecipeError: stages of which some count steps or epochs.
    """
    lengths = [stage.minutes for stage in recipe.stages]
    if len(lengths) == 1:
        lengths = [1.0]
    if None in lengths:
        raise RecipeError("--minutes needs stages that are all given in minutes, or a single stage")
    total = sum(length for length in lengths if length)
    stages = [
        stage.model_copy(update={"minutes": minutes * (length or 0) / total, "steps": None, "epochs": None})
        for stage, length in zip(recipe.stages, lengths, strict=True)
    ]
    return recipe.model_copy(update={"stages": tuple(stages)})


def find_recipe(word: str) -> Path:
    """A path, or the name of a bundled recipe (``smoke``)."""
    bundled = recipes_folder() / f"{word}.yaml"
    return bundled if bundled.exists() and not Path(word).is_file() else Path(word)


def recipes_folder() -> Path:
    return Path(__file__).parent / "recipes"


def _apply(content: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    if not equals:
        raise RecipeError(f"--set takes key=value, got {change!r}")
    try:
        new = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"--set {change}: {text!r} is not a YAML value") from None
    value: Any = content
    *parents, last = path.split(".")
    try:
        for key in parents:
            value = value[int(key)] if isinstance(value, list) else value.setdefault(key, {})
        if isinstance(value, list):
            value[int(last)] = new
        else:
            value[last] = new
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise RecipeError(f"--set {change}: the recipe has no key {path}") from None


def _where(location: tuple[int | str, ...]) -> str:
    # pydantic puts the kind of a stage between its number and its key; YAML does not
    parts = [str(part) for part in location]
    if len(parts) > 2 and parts[0] == "stages" and parts[2] in ("encoder", "prompts", "masks"):
        del parts[2]
    return ".".join(parts) or "recipe"
