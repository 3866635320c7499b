"""What a page may ask: one checked, frozen message for each server function. Coordinates are photo pixels."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

MOST_STEPS = 32
MOST_POINTS = 64
MOST_LAYERS = 400

_Short = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
_Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class MessageError(ValueError):
    """A message that no page of ours sends."""


class Message(BaseModel):
    """What all of them have."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    visitor: _Short = "guest"  # a page's own random name: whose turn it is


class Step(BaseModel):
    """A prompt set; all but the last of a chain hand the picked candidate's logits to the next."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    points: tuple[tuple[float, float, Literal[0, 1]], ...] = Field((), max_length=MOST_POINTS)
    box: tuple[float, float, float, float] | None = None
    pick: int | None = Field(None, ge=0, le=2)

    @field_validator("points", "box")
    @classmethod
    def _finite(cls, value: Any) -> Any:
        numbers = [n for point in value for n in point] if value and isinstance(value[0], tuple) else value or ()
        if not all(math.isfinite(n) and abs(n) < 1e6 for n in numbers):
            raise ValueError("coordinates must be finite photo pixels")
        return value

    @property
    def has_object(self) -> bool:
        """Background alone asks for no mask."""
        return self.box is not None or any(label for _, _, label in self.points)

    @property
    def ambiguous(self) -> bool:
        """One point may mean a thing, a part or the whole."""
        return self.box is None and len(self.points) == 1


Chain = tuple[Step, ...]


class _OnPhoto(Message):
    photo: _Short
    checkpoint: _Short = "default"


class Open(Message):
    checkpoint: _Short = "default"
    ticket: _Short = ""


class OpenExample(Open):
    name: _Short


class Resume(Open):
    photo: _Short


class Predict(_OnPhoto):
    chain: Chain = Field(min_length=1, max_length=MOST_STEPS)


class Hover(_OnPhoto):
    x: float = Field(allow_inf_nan=False)
    y: float = Field(allow_inf_nan=False)


class Everything(_OnPhoto):
    ticket: _Short = ""
    points_per_side: int = Field(16, ge=1, le=64)
    pred_iou_thresh: float = Field(0.86, ge=0, le=1)
    stability_score_thresh: float = Field(0.92, ge=0, le=1)
    min_mask_region_area: int = Field(100, ge=0, le=1_000_000)


class Ticket(Message):
    ticket: _Short


class Rle(BaseModel):
    """COCO's compressed RLE."""

    size: tuple[int, int]
    counts: Annotated[str, Field(max_length=4_000_000)]


class Layer(BaseModel):
    name: _Short
    colour: _Colour
    rle: Rle


class Take(Message):
    photo: _Short
    kind: Literal["cutout", "mask", "overlay", "coco", "svg"]
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=MOST_LAYERS)
    full_size: bool = False
    feather: float = Field(0, ge=0, le=50)


class CodeObject(BaseModel):
    """What a program is to make again: a chain of prompts, or a mask that everything mode found."""

    name: _Short
    checkpoint: _Short = "default"
    chain: Chain = Field((), max_length=MOST_STEPS)
    rle: Rle | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> CodeObject:
        if bool(self.chain) == bool(self.rle):
            raise ValueError("give either a chain or an rle")
        return self


class Code(Message):
    name: _Short
    objects: tuple[CodeObject, ...] = Field(max_length=MOST_LAYERS)


M = TypeVar("M", bound=BaseModel)


def read(kind: type[M], content: object) -> M:
    """Check what came.

    Raises:
        MessageError: names the first field that is missing or wrong.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the message"
        raise MessageError(f"{place}: {first['msg']}") from None
